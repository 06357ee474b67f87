"""STS and IAM, as far as clients ask: who am I, what is this role, may it do that, and let me be it.

There is one account and every role exists in it, trusts SageMaker and may do everything: training programs run
as the user who started the server, whatever role a request names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from urllib.parse import quote

from tunewright.aws.faults import Fault
from tunewright.aws.query import Action, Form, members
from tunewright.aws.s3.xml import Tree, stamp

STS = "https://sts.amazonaws.com/doc/2011-06-15/"
IAM = "https://iam.amazonaws.com/doc/2010-05-08/"
CREATED = "2020-01-01T00:00:00Z"
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+", re.ASCII)
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


MIN_SECONDS, HOUR, MAX_SECONDS = 900, 3600, 129_600


class Identity:
    """Answers for one account.

    Args:
        open_door: whether the server takes any key, so that it can hand some out.
        now: seconds since the epoch.
    """

    def __init__(self, account: str, open_door: bool, now: Callable[[], float]) -> None:
        self._account, self._open, self._now = account, open_door, now
        self.sts: dict[str, Action] = {
            "GetCallerIdentity": self._caller,
            "AssumeRole": self._assume,
            "GetSessionToken": self._token,
        }
        self.iam: dict[str, Action] = {"GetRole": self._role, "SimulatePrincipalPolicy": self._simulate}

    def _caller(self, form: Form) -> Tree:
        arn = f"arn:aws:sts::{self._account}:assumed-role/SageMakerRole/user"
        return {"Arn": arn, "UserId": "AROATUNEWRIGHT:user", "Account": self._account}

    def _assume(self, form: Form) -> Tree:
        arn, session = form.get("RoleArn", ""), form.get("RoleSessionName", "")
        if not _ROLE_ARN.fullmatch(arn):
            raise Fault("ValidationError", f"RoleArn {arn[:200]!r} is not the ARN of a role.")
        if not _ROLE_NAME.fullmatch(session):
            raise Fault("ValidationError", f"RoleSessionName {session[:64]!r} is not valid: use letters and +=,.@-")
        account, role = arn.split(":")[4], arn.rpartition("/")[2]
        user = {
            "AssumedRoleId": f"AROATUNEWRIGHT:{session}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        }
        return {"Credentials": self._credentials(form), "AssumedRoleUser": user}

    def _token(self, form: Form) -> Tree:
        return {"Credentials": self._credentials(form)}

    def _credentials(self, form: Form) -> Tree:
        """What opens a server that any key opens. Raises Fault on one with keys, which are all that it takes."""
        if not self._open:
            text = "This server hands out no temporary credentials; sign with the key that you have."
            raise Fault("AccessDenied", text, 403)
        seconds = form.get("DurationSeconds", str(HOUR))
        if not seconds.isdecimal() or not MIN_SECONDS <= int(seconds[:9]) <= MAX_SECONDS:
            allowed = f"between {MIN_SECONDS} and {MAX_SECONDS}"
            raise Fault("ValidationError", f"DurationSeconds has to be {allowed}, got {seconds[:20]!r}.")
        return {
            "AccessKeyId": "ASIATUNEWRIGHT00",
            "SecretAccessKey": "tunewright",
            "SessionToken": "tunewright",
            "Expiration": stamp(self._now() + int(seconds)),
        }

    def _role(self, form: Form) -> Tree:
        name = form.get("RoleName", "")
        if not _ROLE_NAME.fullmatch(name):
            raise Fault("ValidationError", f"The role name {name[:64]!r} is not valid: use letters, digits and +=,.@-")
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": "AROA" + hashlib.sha256(name.encode()).hexdigest()[:17].upper(),
                "Arn": f"arn:aws:iam::{self._account}:role/{name}",
                "CreateDate": CREATED,
                "AssumeRolePolicyDocument": quote(json.dumps(_TRUST), safe=""),
                "MaxSessionDuration": "43200",
            }
        }

    def _simulate(self, form: Form) -> Tree:
        source = form.get("PolicySourceArn", "")
        if not _ROLE_ARN.fullmatch(source):
            raise Fault("InvalidInput", f"PolicySourceArn {source[:200]!r} is not the ARN of a role.")
        actions = members(form, "ActionNames")
        if not actions:
            raise Fault("InvalidInput", "ActionNames names no action.")
        resource = (members(form, "ResourceArns") or ["*"])[0]
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"} for action in actions
        ]
        return {"IsTruncated": "false", "EvaluationResults": {"member": results}}
