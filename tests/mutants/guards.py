"""The guards that were written by hand: where each stands, how it is taken out, and the tests that must then fail."""

from __future__ import annotations

from dataclasses import dataclass

CORE = ("tests/core",)
PACKED = ("tests/core/test_packing.py",)
HALT = ("tests/oms/test_halt.py",)
POWER = ("-m", "proof", "tests/crash/test_power_cut.py")
ORDERS, AGENT, COMMANDER = "engine/oms/orders.py", "engine/execution/execution_agent.py", "engine/api/commander.py"
ENGINE, STEPS, CONNECTION = "engine/api/engine.py", "engine/oms/halt.py", "engine/store/connection.py"
JOURNAL, STORE = "engine/store/journal.py", "engine/store/order_store.py"


@dataclass(frozen=True)
class Mutant:
    """One guard, and the text that takes it out. ``old`` stands once in its file."""

    name: str
    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Arguments for pytest."""


GUARDS = (
    Mutant("durable-before-send", "an order waits until its intent is on disk", ORDERS,
           "while self._effects and self._effects[0].waits_for <= durable_seq:", "while self._effects:", CORE),
    Mutant("durable-before-amend", "an amend waits until its intent is on disk", ORDERS,
           "Effect(seq, intent.order_id, intent)", "Effect(0, intent.order_id, intent)", CORE),
    Mutant("synchronous-off", "a commit is synced", CONNECTION, "synchronous=FULL", "synchronous=OFF", POWER),
    Mutant("synchronous-normal", "each commit is synced, not only each checkpoint", CONNECTION, "synchronous=FULL",
           "synchronous=NORMAL", POWER),
    Mutant("send-before-commit", "the live engine hands over what is on disk, not what is chained", "bolt_tui/wiring.py",
           "    def _turn(self) -> None:\n", "    def _turn(self) -> None:\n        self.engine.release(self._journal.head_seq)\n",
           POWER),
    Mutant("latch-reread", "the latch is read again at the call", ORDERS, "refusal = self._may_send(order)", 'refusal = ""', CORE),
    Mutant("latch-first", "a trip goes to the shared latch", ENGINE, "        self.parts.latch.trip(scope, state)\n", "", CORE),
    Mutant("kill-unsent", "a halt kills intents that have not left", ENGINE, "        self.orders.kill_unsent(why, covers)\n", "", CORE),
    Mutant("unknown-is-a-state", "an answer without trust makes an order UNKNOWN, not refused", ORDERS,
           "return ev.OrderUnknown(order_id=order_id, why=event.why), state.is_live and state != OrderState.UNKNOWN",
           'return ev.OrderRejected(order_id=order_id, code="X", text=event.why, ts_ns=ts_ns), state.is_live', CORE),
    Mutant("unknown-after-restart", "what was unanswered when the engine died is UNKNOWN", ORDERS,
           "        for order in found:\n            self._record(ev.OrderUnknown",
           "        for order in found[:0]:\n            self._record(ev.OrderUnknown", CORE),
    Mutant("unknown-worst-case", "UNKNOWN counts at its worst case", "engine/store/order.py",
           "if self.is_parent or self.state not in LIVE:",
           "if self.is_parent or self.state not in LIVE or self.state is OrderState.UNKNOWN:", CORE),
    Mutant("unknown-while-fills-miss", "an order that ended before its executions came counts until they are here", ORDERS,
           "if (event.qty_filled or 0) > order.qty_filled:", "if event.qty_filled is order:", ("tests/faults/test_found.py",)),
    Mutant("cancel-when-found", "a cancel of an order that nobody knew of goes out when it is found", "engine/oms/reconciler.py",
           "if is_found and order.state is OrderState.PENDING_CANCEL:", "if is_found and order.state is None:",
           ("tests/faults/test_found.py",)),
    Mutant("packed-intent", "an intent is known when its order was packed", STORE,
           "self.by_intent.get(intent_id) or self._amends.get(intent_id) if found is None else None", "None", PACKED),
    Mutant("packed-wire", "a late execution finds an order that was packed", "engine/store/order_shelf.py",
           "if found is None and self._orders.packed_count:", "if found is None and self._orders is None:", PACKED),
    Mutant("packed-fill", "an execution that was packed is still booked", "engine/store/shelf.py",
           "place = self._places.get(key)", "place = None", PACKED),
    Mutant("fill-key", "an execution is booked once", ORDERS, "known = self._store.fills.get(key)", "known = None", CORE),
    Mutant("fill-conflict", "one key with two contents is told", ORDERS, "if known[1] != fill:", "if known[1] is None:", CORE),
    Mutant("cancel-lane", "a cancel waits for nothing", ORDERS,
           "        self._record(ev.CancelIntent(order_id=order.order_id, why=why))\n"
           "        self._brokers[order.spec.broker].send_cancel(order.wire_id, order.venue_order_id)\n",
           "        self._effects.append(Effect(self._record(ev.CancelIntent(order_id=order.order_id, why=why)), order.order_id))\n",
           CORE),
    Mutant("intent-fence", "an intent id that is asked again makes no second order", COMMANDER,
           "if isinstance(command, ASKED) and self._engine.store.asked(command.intent_id) is not None:",
           "if isinstance(command, ASKED) and command.intent_id is None:", CORE),
    Mutant("gate-of-children", "a child that the gate denies does not leave", AGENT,
           "        if not verdict.ok:\n            self._record(\n                ev.OrderDenied(",
           "        if verdict is None:\n            self._record(\n                ev.OrderDenied(", ("tests/core", "tests/execution")),
    Mutant("gate-of-amends", "an amend that the gate denies does not leave", COMMANDER,
           "        if not verdict.ok:\n            if parent is not None:", "        if verdict is None:\n            if parent is not None:",
           CORE),
    Mutant("stop-after-failed-write", "after a failed write nothing is written again", JOURNAL,
           "                self.failed = str(found)\n", "", ("tests/store", "tests/core")),
    Mutant("unique-link", "no two rows of a ledger stand behind the same row", "engine/store/statements.py",
           "(CREATE_JOURNAL, *CREATE_OTHERS, UNIQUE_IN_FILE)", "(CREATE_JOURNAL, *CREATE_OTHERS)", ("tests/store/test_crash.py",)),
    Mutant("one-writer", "a second engine on a ledger is refused", "engine/store/lock.py", "            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n", "            pass\n",
           ("tests/store",)),
    Mutant("noted-head", "a ledger whose tail was cut is not opened", JOURNAL, "if found is None or found[0] != noted[1]:",
           "if noted is None:", ("tests/store",)),
    Mutant("short-way-promise", "a row that the gate's short way does not know shuts it", "engine/risk/fast_gate.py",
           "return {row.code for row in rows} == COVERED", "return True", ("tests/risk/test_fast_gate.py",)),
    Mutant("kill-1-gate", "kill step 1: the gate is shut", STEPS, '    job.hook("gate", trip)\n', "", HALT),
    Mutant("kill-2-record", "kill step 2: the durable record", STEPS,
           '    job.hook("record", lambda: job.record(record_durable))\n', "", HALT),
    Mutant("kill-3-sources", "kill step 3: sources are stopped", STEPS, '    job.hook("sources", stop_sources)\n', "", HALT),
    Mutant("kill-4-cancel", "kill step 4: what works is cancelled", STEPS,
           "        if not self._cancel_all(working):\n            self._cancel_each(working)\n", "", HALT),
    Mutant("kill-5-verify", "kill step 5: gone is what the broker lists no more", STEPS,
           "clean = clean + 1 if working == [] else 0", "clean = CLEAN_LOOKS", HALT),
    Mutant("kill-6-flatten", "kill step 6: flatten where it is asked", STEPS, "            self._flatten_rounds(refused)\n", "", HALT),
    Mutant("kill-6-durable", "kill step 6: no flatten before the record is on disk", STEPS,
           'return "" if self._job.durable else', 'return "" if self._job else', HALT),
    Mutant("kill-7-receipt", "kill step 7: the receipt is kept as a file", "bolt_tui/halting.py",
           '{"receipt_path": str(write_receipt(receipt, self._home.receipts)), **found}', "{**found}",
           ("tests/cli/test_live.py", "tests/cli/test_halt.py")),
    Mutant("approval-hash", "an approval holds for exactly the terms that were looked at", "engine/api/approvals.py",
           "if command.order_hash.upper() != now or order.awaits != now:", "if now is None:", ("tests/core/test_approvals.py",)),
    Mutant("approval-second-person", "who asked for an order does not approve it", "engine/api/approvals.py",
           "if source.name == order.source.name:", "if source.name is order:", ("tests/core/test_approvals.py",)),
    Mutant("trigger-time-passed", "a time that passed while no engine was up fires nothing late",
           "engine/execution/conditional.py",
           'ctx.suspend(parent.order_id, f"{iso(spec.algo.start_ns)} passed while no engine was up")',
           'self._fire(parent, ctx, "late")', ("tests/core/test_conditional.py",)),
    Mutant("trigger-price-passed", "a price that passed while no engine was up fires nothing late", "engine/execution/conditional.py",
           "if passed and tag == FIRST:", "if passed and tag is parent:", ("tests/core/test_conditional.py",)),
    Mutant("group-latch-reread", "the latch is read again at the call for each order of a group", ORDERS,
           'refusal = refusal or (next(filter(None, map(self._may_send, others)), "") if others else "")',
           'refusal = refusal or ""', ("tests/core/test_groups.py",)),
    Mutant("group-killed-whole", "of a group that a trip stops nothing leaves", ORDERS,
           "            for order_id in effect.new_ids:\n                self._record(ev.OrderKilled",
           "            for order_id in effect.new_ids[:1]:\n                self._record(ev.OrderKilled", ("tests/core/test_groups.py",)),
    Mutant("basket-hard-block", "one hard block keeps a whole basket here", "engine/risk/basket_rows.py",
           "        if not denial.confirmable:\n            return BasketDenial(BASKET_BLOCKED.code", "        if denial is None:\n            return BasketDenial(BASKET_BLOCKED.code",
           ("tests/core/test_baskets.py",)),
    Mutant("basket-total", "a large total of a basket is confirmed as one amount", "engine/risk/basket_rows.py",
           "if total <= most.value or row.code in case.confirmed:", "if total is most or total:", ("tests/risk/test_basket_rows.py",)),
    Mutant("locate-used-up", "what was sold short in a day has used its locate up", "engine/risk/controls_rules.py",
           "used = case.view.short_used(account, symbol)", "used = ZERO_QTY", ("tests/core/test_locates.py",)),
    Mutant("halt-parks", "an order that comes during a halt waits for the auction", "brokers/paper/lifecycle.py",
           "(self.reopening.park if listing.is_halted else self._enter)", "(self._enter)", ("tests/paper_venue/test_reopening.py",)),
    Mutant("venue-keeps-bands", "a killed venue comes back paused where it was", "brokers/paper/venue.py",
           "self.bands.load_state(state.bands, self.listings)", "pass", ("tests/paper_venue/test_reopening.py",)),
    Mutant("venue-keeps-pace", "a killed venue still counts what was sent", "brokers/paper/venue_log.py",
           "paced += change.paced", "pass", ("tests/paper_market/test_hosted.py",)),
    Mutant("mail-checked", "a mail server's certificate is checked before it gets a password", "bolt_tui/notify.py",
           "line.starttls(context=checked)", "line.starttls()", ("tests/cli/test_mail.py",)),
    Mutant("tape-no-average", "no average volume is made of a day that may not be whole", "engine/market/history.py",
           "if not loaded.is_whole:", "if loaded is None:", ("tests/tape/test_minutes.py",)),
    Mutant("bracket-kept", "a halt keeps the exits that guard a position, where the policy says so", STEPS,
           'keeps = self._plan.protective == "keep"', "keeps = False", HALT),
    Mutant("bracket-whole", "an exit has the quantity of its entry", "engine/execution/linked.py",
           "        if leg.qty != entry.qty:\n", "        if leg.qty is entry:\n", ("tests/core/test_groups.py",)),
    Mutant("tape-hash", "a chunk of the tape is the one whose hash the journal holds", "engine/market/tape.py",
           'return "" if found == sha256 else f"{name}: {path} is not', 'return "" if found else f"{name}: {path} is not',
           ("tests/tape/test_tape.py",)),
    Mutant("margin-of-working", "margin counts what working orders would come to", "engine/risk/controls_case.py",
           "        margin = EXACT.add(margin, _margin(case, instrument, amount))\n", "", ("tests/risk", "tests/core/test_what_if.py")),
    Mutant("server-asked-again", "a commit without an answer is decided by the server's last row", JOURNAL,
           "return None if is_in_doubt and self._is_written(batch) else self._transact(batch)", "return self._transact(batch)",
           ("tests/store/test_server.py",)),
)  # fmt: skip
