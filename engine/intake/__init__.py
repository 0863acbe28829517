"""Where orders come from: typed lines and strategies. They make commands and never send."""
