"""Reason codes in words, and the page `docs/controls.md`, both from the table of controls.

``python -m engine.risk.controls_docs`` prints the page.
"""

from __future__ import annotations

import difflib
import sys

from engine.risk.controls import CONTROLS, TABLE, Row
from engine.risk.controls_case import SPARE_EXIT, SPARE_REDUCING

OTHER_CODES = {
    "LIMIT_MISSING": "The policy in force lacks the limit of a control; without a limit nothing can be judged. Mend "
    "policy.yaml and reload it.",
    "CHECK_FAILED": "A check broke instead of judging, and therefore denies. The denial names the control and the error: "
    "please report it.",
    "PRICE_NONE": "The order cannot be priced: it has no price of its own and there is no usable, fresh quote. Wait for the "
    "market data, or place a limit order once there is a quote.",
    "MARK_NONE": "A symbol of the account has no terms, price or currency rate, so its exposure is unknown. Subscribe to it, "
    "or place orders that shrink the position.",
    "EQUITY_NONE": "The account's equity is unknown or not above zero, so leverage cannot be judged.",
    "COUNT_NONE": "A count that the control needs cannot be read.",
    "CLOCK_UNKNOWN": "The machine's clocks cannot be compared.",
    "UNKNOWN_UNREADABLE": "The orders in UNKNOWN cannot be read.",
    "BROKER_UNKNOWN": "The broker is not configured, so what it can do is not known.",
    "PNL_UNKNOWN": "The result of the day is unknown: a mark of now or of the day's beginning, or a currency rate, is missing or "
    "stale (the denial names it). Only orders that shrink the position pass until it is known again.",
    "RECON_NEVER": "The account was never compared with the broker; run `bolt reconcile`.",
    "MANUAL": "A person tripped the kill switch.",
    "SENTINEL": "A file named HALT lies in the state folder; remove it before you re-arm.",
    "TRIP_FILE_BAD": "A trip file could not be read; that counts as a trip of everything.",
    "LATCH": "Another process, or an engine whose disk was full, tripped the kill latch and could leave no note.",
    "CHILD_SUM": "What was sent for a parent exceeds it. This must never happen: keep the ledger and report it.",
    "FILL_CONFLICT": "The venue reported one execution twice with different content; compare with the broker's own records.",
    "LOOP_STALL": "The engine did not look at its own timers for too long (monitor.max_stall_s).",
    "REJECT_RATE": "Too many orders were rejected by the venue (monitor.max_reject_pct).",
    "ACK_SLOW": "Half of all orders waited too long for an answer (monitor.max_ack_s).",
    "MESSAGE_RATE": "Too many messages were sent in the window (monitor.max_messages).",
    "STALE_WORKING": "Orders work while the quotes of their symbol are stale (monitor.max_stale_s). Not judged outside its session, while its venue has halted it, and for that long behind either.",
    "DOWN_WORKING": "A broker is down while it has open orders of ours (monitor.max_down_s); look at its own screen.",
    "REARM": "A person lifted a halt.",
    "REARM_WORD": "The word typed to re-arm must be REARM.",
    "REARM_REASON": "A re-arm needs a reason.",
    "REARM_HOLD": "A halt stands for at least kill.rearm_hold_s seconds.",
    "REARM_HIGHER": "A lower scope cannot lift a halt of everything; re-arm global first.",
    "REARM_RECONCILE": "No reconciliation was clean since the trip; run `bolt reconcile`.",
    "REARM_ACTIVE": "The scope is active; there is nothing to re-arm.",
    "REARM_PERSON": "Only a person at the desk or the command line can re-arm.",
    "REARM_JOURNAL": "The trip is not journaled yet; a moment later the re-arm can be judged.",
    "REARM_RUNNING": "The kill procedure of a halt is still at work; a re-arm waits for its receipt.",
    "REARM_RACE": "The latch was tripped again, or could not be written, while it was being lifted; look, then re-arm again.",
    "WATCHDOG": "The process beside the engine halted it, because the engine's loop did not turn any more (monitor.max_stall_s).",
    "ALGO_UNKNOWN": "There is no algorithm of that name; the denial names those that there are.",
    "ALGO_REFUSES": "The algorithm cannot work this order (type, time in force, duration or parameters); the denial says why.",
    "ALGO_LOOP": "An algorithm kept calling itself and was stopped for this moment; keep the ledger and report it.",
    "ILLEGAL": "The state of the order does not allow what was asked. Nothing was done; the try is journaled.",
    "ADJUST_BAD": "The adjustment cannot be booked as it is; the text says what it needs. Nothing was booked.",
    "ADJUST_REUSED": "That adjustment id was used for another booking. Nothing was booked: give it an id of its own.",
    "FX_BAD": "A stated currency rate cannot be right (not above zero, of itself, or of a moment still to come). Nothing was set.",
    "MOVEMENT": "A broker booked something that cannot be taken into the books; the alert says what and why. Compare with the "
    "broker, then accept the difference with a reason.",
    "INTENT_NEW": "Nothing was ever done for that intent id, so it is safe to place the order.",
    "INTENT_REUSED": "That intent id was used for another order. Nothing was done: give another order an id of its own.",
    "REPEATED": "The intent was asked for before; what became of it is told, and nothing was sent again.",
    "NOT_SENT": "It did not leave: there was no line, or an amendment's order had ended or was being cancelled by the time it was on disk. A cancel is asked again once the "
    "line is back, where nobody works with its order any more.",
    "KILLED": "An amendment did not leave: the kill latch was tripped, or the broker went away, before it was on disk.",
    "REJECTED": "The venue refused the order; its own words are on the order.",
    "NOT_HERE": "This command is not decided by the engine.",
    "POLICY_REFUSED": "The new policy.yaml has a fault and was not taken; the old one is in force. `bolt policy check` names each fault.",
    "PRICE": "A lost order that is stated as filled needs the average price it was filled at.",
    "REASON": "A statement of a person is journaled as such and needs a reason: say how you know.",
    "STRATEGY_UNKNOWN": "There is no strategy of that name; the refusal names those that there are.",
    "STRATEGY_ON": "The strategy runs with other parameters than were asked for; nothing was changed. Stop it, then start it anew.",
    "STRATEGY_PARAMS": "The strategy refuses its parameters, or failed while it looked at them; it was not started.",
    "STRATEGY_FAILED": "The strategy raised an error or was too slow, and is disabled; its other orders were cancelled.",
    "APPROVAL": "C31: the approval does not fit: the order does not wait for one, its author cannot approve it, or its terms are not the "
    "ones that were approved.",
    "BASKET_BAD": "The basket cannot be read; each bad line is named with its rule, and nothing was staged.",
    "NO_PAUSE": "The order is not worked over time: its whole quantity is at the venue or waits for one trigger. Amend or cancel it.",
    "NO_URGENCY": "The algorithm has no urgency, or there is none of that name (passive, normal, take).",
    "BASKET_UNKNOWN": "There is no basket of that id; the refusal names those that are staged.",
    "SUSPENDED": "The trigger of an order that waits in the engine passed while no engine was up. It was not fired late: release it, "
    "amend it or cancel it.",
    "COMBO_MIXED": "The legs of a combo have several currencies or multipliers, so that they have no common net price; place orders of their own.",
    "COMBO_LOT": "A unit of the combo has a quantity of a leg that is no whole number of its lots.",
    "NET_TICK": "The net price of a combo lies off the step that the ticks of its legs have in common; the denial names it.",
    "NET_NONE": "A leg of the combo has no usable quote, so that nobody can say what the net price means. Wait for market data.",
    "NET_COLLAR": "The net price pays more than the middle of the legs and the price collar of the smallest of them (price.collar_pct).",
    "NET_FAR": "The net price is absurdly far from the middle of the legs (price.far_pct).",
    "SPLIT_REST": "A split stopped an order that was worked over time; the alert has what is left of it in new units, as a line to place.",
    "AMENDED_OTHERWISE": "A venue says that it amended an order, but to another price than it was asked for: amend it again, or cancel it.",
    "LEG_RISK": "A combo that is not guaranteed ended with a leg filled and another one not: close what stands alone, or fill the missing leg.",
    "LINK_STAGED": "Orders that belong together cannot be staged; place them, or stage each by itself.",
}
"""Codes that are no row of the table: unknown inputs, trips of the monitors, refusals of commands and of a re-arm."""

_BY_CODE = {row.code: row for row in TABLE}


_HEAD = """\
# Controls

Written from the table in `engine/risk/controls.py` by `python -m engine.risk.controls_docs > docs/controls.md`; a test holds it
current.

Every new order, child order, amendment and exit passes these rows from top to bottom, last before its intent is journaled. At
the limit passes, one unit above is denied. What has no limit or no input is denied. A person is shown every denial, a machine
the first one. Cancels never pass here and are never held back.

Places: E entry (comfort), G the gate, B the parent, M a monitor that trips by itself. *Least* marks a limit that is a minimum,
*confirm* a denial that a person may confirm. *Spares*: `shrinking` orders are not held back where they can only shrink the
verified position, working orders included; `exits` are the flatten orders of the kill procedure.

Exposure counts the position plus every working, pending or unknown order of a side at its worst case, plus the order itself. A
parent is judged with its full quantity when it is accepted; its unsent rest is no exposure, and each child is judged again when
it is made. The rows of C28 are asked once for a basket, whose lines pass all others as orders. An amendment counts what it adds to the larger of its old and new terms.

Controls: {controls}.

| control | code | place | measured | limit | unknown input | spares | rule |
|---|---|---|---|---|---|---|---|"""


def codes() -> tuple[str, ...]:
    """Every reason code, sorted."""
    return tuple(sorted({*_BY_CODE, *OTHER_CODES}))


def explain(code: str) -> str | None:
    """What a reason code means and which limit stands behind it; None for a code that does not exist."""
    row = _BY_CODE.get(code.upper())
    if row is None:
        return OTHER_CODES.get(code.upper())
    lines = [f"{row.code} ({row.control}): {row.doc}", f"Measured: {row.input}."]
    if row.path:
        lines.append(f"Limit: {row.path.replace('{source}', 'SOURCE')} in policy.yaml.")
    if row.unknown:
        lines.append(f"Where it cannot be measured the order is denied with {row.unknown}.")
    if row.is_confirmable:
        # A large amount is asked of persons alone; what looks like a slip is a machine's fault as well.
        is_asked = row.control in {"C28", "C29"}
        lines.append(f"A person may confirm it; a strategy is {'not asked' if is_asked else 'denied'}.")
    lines += [f"Does not hold back {words}." for words in (_spared(row),) if words]
    return "\n".join(lines)


def nearest(code: str) -> str:
    """The known code most like a mistyped one, or nothing."""
    return next(iter(difflib.get_close_matches(code.upper(), codes(), 1)), "")


def _spared(row: Row) -> str:
    if row.spares == SPARE_REDUCING:
        return "orders that shrink the verified position"
    return "exits of the kill procedure" if row.spares == SPARE_EXIT else ""


def render() -> str:
    """The whole page."""
    lines = [_HEAD.format(controls=", ".join(CONTROLS))]
    lines += [_line(row) for row in TABLE]
    lines += ["", "## Other codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {words} |" for code, words in sorted(OTHER_CODES.items())]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    marks = [f"`{row.path}`"] if row.path else []
    marks += ["least"] * row.is_floor + ["confirm"] * row.is_confirmable
    spared = {SPARE_REDUCING: "shrinking", SPARE_EXIT: "exits"}.get(row.spares, "")
    cells = (row.control, row.code, row.place, row.input, ", ".join(marks), row.unknown, spared, row.doc)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(render())
