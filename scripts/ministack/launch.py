"""Starts ministack, and writes each call that it denies into its log, where ministack
itself writes none of them."""
import logging

from ministack.app import main
from ministack.core import iam_actions

answer = iam_actions.access_denied_response


def noted(service, action, principal, *rest, **named):
    logging.getLogger("denied").error("AccessDenied: %s may not %s", principal, action)
    return answer(service, action, principal, *rest, **named)


iam_actions.access_denied_response = noted
main()
