"""STS and IAM, as far as the SDKs ask: who am I, what is this role, and may it do that.

There is one account and every role exists in it, trusts SageMaker and may do everything: training programs run
as the user who started the server, whatever role a request names.
"""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote

from tunewright.aws.faults import Fault
from tunewright.aws.query import Action, Form, members
from tunewright.aws.s3_xml import Tree

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


class Identity:
    """Answers for one account."""

    def __init__(self, account: str) -> None:
        self._account = account
        self.sts: dict[str, Action] = {"GetCallerIdentity": self._caller}
        self.iam: dict[str, Action] = {"GetRole": self._role, "SimulatePrincipalPolicy": self._simulate}

    def _caller(self, form: Form) -> Tree:
        arn = f"arn:aws:sts::{self._account}:assumed-role/SageMakerRole/user"
        return {"Arn": arn, "UserId": "AROATUNEWRIGHT:user", "Account": self._account}

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
