"""The rules, one file each, in the order of their codes; and how they are run."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from difflib import get_close_matches

from nlmdissect.errors import UsageError
from nlmdissect.findings import Finding, Judged, NotAssessed, Rule, RuleResult
from nlmdissect.history import looks
from nlmdissect.history.history import History
from nlmdissect.history.looks import Looks, TooMuchError
from nlmdissect.rules.cap001_filtered_capture import filtered_capture
from nlmdissect.rules.cap002_cut_frames import cut_frames
from nlmdissect.rules.cap003_lost_frames import lost_frames
from nlmdissect.rules.cap004_one_sided_capture import one_sided_capture
from nlmdissect.rules.cap005_encrypted_bodies import encrypted_bodies
from nlmdissect.rules.cap006_no_lock_traffic import no_lock_traffic
from nlmdissect.rules.causes import link
from nlmdissect.rules.host001_failover_without_notify import failover_without_notify
from nlmdissect.rules.host002_lockd_restart_without_notify import lockd_restart_without_notify
from nlmdissect.rules.host003_restart_during_recovery import restart_during_recovery
from nlmdissect.rules.nlm001_refused_reclaim import refused_reclaim
from nlmdissect.rules.nlm002_missing_reclaim import missing_reclaim
from nlmdissect.rules.nlm003_late_reclaim import late_reclaim
from nlmdissect.rules.nlm004_stolen_lock import stolen_lock
from nlmdissect.rules.nlm005_orphaned_lock import orphaned_lock
from nlmdissect.rules.nlm006_released_without_restart import released_without_restart
from nlmdissect.rules.nlm007_unanswered_granted import unanswered_granted
from nlmdissect.rules.nlm008_refused_granted import refused_granted
from nlmdissect.rules.nlm009_missing_granted import missing_granted
from nlmdissect.rules.nlm010_abandoned_wait import abandoned_wait
from nlmdissect.rules.nlm011_conflicting_grants import conflicting_grants
from nlmdissect.rules.nlm012_unanswered_request import unanswered_request
from nlmdissect.rules.nlm013_retry_storm import retry_storm
from nlmdissect.rules.nlm014_cancel_granted_race import cancel_granted_race
from nlmdissect.rules.nlm015_lost_unlock import lost_unlock
from nlmdissect.rules.nlm016_short_grace import short_grace
from nlmdissect.rules.nlm017_long_grace import long_grace
from nlmdissect.rules.nlm018_endless_grace import endless_grace
from nlmdissect.rules.nlm019_version_mismatch import version_mismatch
from nlmdissect.rules.nlm020_duplicate_caller_name import duplicate_caller_name
from nlmdissect.rules.nlm021_merged_clients import merged_clients
from nlmdissect.rules.nlm022_wait_cycle import wait_cycle
from nlmdissect.rules.nlm023_inconsistent_retransmission import inconsistent_retransmission
from nlmdissect.rules.nlm024_discarded_reclaim import discarded_reclaim
from nlmdissect.rules.nsm001_missing_server_notify import missing_server_notify
from nlmdissect.rules.nsm002_missing_client_notify import missing_client_notify
from nlmdissect.rules.nsm003_unanswered_notify import unanswered_notify
from nlmdissect.rules.nsm004_misdirected_notify import misdirected_notify
from nlmdissect.rules.nsm005_unrecognised_mon_name import unrecognised_mon_name
from nlmdissect.rules.nsm006_stale_notify_state import stale_notify_state
from nlmdissect.rules.nsm007_even_notify_state import even_notify_state
from nlmdissect.rules.nsm008_unregistered_statd import unregistered_statd
from nlmdissect.rules.nsm009_spurious_notify import spurious_notify
from nlmdissect.rules.nsm010_foreign_notify_address import foreign_notify_address
from nlmdissect.rules.nsm011_refused_monitor import refused_monitor
from nlmdissect.rules.nsm012_lost_upcall import lost_upcall
from nlmdissect.rules.nsm013_unmonitored_lock import unmonitored_lock
from nlmdissect.rules.pmap001_unreachable_lockd import unreachable_lockd
from nlmdissect.rules.pmap002_unregistered_lockd import unregistered_lockd

RULES: tuple[Rule, ...] = (
    missing_server_notify,
    missing_client_notify,
    unanswered_notify,
    misdirected_notify,
    unrecognised_mon_name,
    stale_notify_state,
    even_notify_state,
    unregistered_statd,
    spurious_notify,
    foreign_notify_address,
    refused_monitor,
    lost_upcall,
    unmonitored_lock,
    refused_reclaim,
    missing_reclaim,
    late_reclaim,
    stolen_lock,
    orphaned_lock,
    released_without_restart,
    unanswered_granted,
    refused_granted,
    missing_granted,
    abandoned_wait,
    conflicting_grants,
    unanswered_request,
    retry_storm,
    cancel_granted_race,
    lost_unlock,
    short_grace,
    long_grace,
    endless_grace,
    version_mismatch,
    duplicate_caller_name,
    merged_clients,
    wait_cycle,
    inconsistent_retransmission,
    discarded_reclaim,
    unreachable_lockd,
    unregistered_lockd,
    failover_without_notify,
    lockd_restart_without_notify,
    restart_during_recovery,
    filtered_capture,
    cut_frames,
    lost_frames,
    one_sided_capture,
    encrypted_bodies,
    no_lock_traffic,
)
TOO_MUCH = "too much to look at: requests, locks, waits or notices beside each other without end"
BY_CODE = {rule.code: rule for rule in RULES}


def find_rule(code: str) -> Rule:
    """The rule of a code or a name, whatever its case. Raises UsageError for an unknown one."""
    for rule in RULES:
        if code.casefold() in (rule.code.casefold(), rule.name):
            return rule
    family, digits = re.fullmatch(r"(\D*)(\d*).*", code.upper(), re.S).groups()  # type: ignore[union-attr]
    same = f"{family}{int(digits or 0):03}"  # NLM1, NLM0001
    names = [word for rule in RULES for word in (rule.code, rule.name)]
    near = [same] if same in BY_CODE else get_close_matches(code.upper(), names, n=2)
    near = near or get_close_matches(code.lower(), names, n=2)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"there is no rule {code}", f"{meant}See 'nlmdissect rules' for all of them.")


def run(history: History) -> tuple[list[Finding], list[RuleResult]]:
    """Run every rule over a history: findings, worst first and linked to their causes, and one result for each rule.

    A rule that crashes is a result with its error; the others run on.
    """
    results = [_run(rule, history) for rule in RULES]
    findings = [finding for result in results for finding in result.findings]
    findings.sort(key=lambda f: (-(f.severity or 0), -f.confidence, f.evidence[0].at))
    return link(findings), results


def _run(rule: Rule, history: History) -> RuleResult:
    result = RuleResult(rule)
    history.dealings.looks = history.walked.looks = Looks(looks.LOOKS)
    try:
        for verdict in rule.check(history):
            match verdict:
                case Finding():
                    severity = rule.severity if verdict.severity is None else verdict.severity
                    result.findings.append(replace(verdict, code=rule.code, name=rule.name, severity=severity))
                case NotAssessed(reason):
                    result.reasons.append(reason)
                case Judged(count):
                    result.judged += count
    except TooMuchError:
        history.dealings.looks.over = True
    except Exception:
        result.error = traceback.format_exc(limit=-3)
    finally:
        if history.dealings.looks.over:
            result.reasons.append(TOO_MUCH)
        history.dealings.looks = history.walked.looks = Looks()  # others may look at everything
    return result


__all__ = ["BY_CODE", "RULES", "TOO_MUCH", "find_rule", "run"]
