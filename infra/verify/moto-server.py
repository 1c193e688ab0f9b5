"""
Moto's server with what the stacks need and moto lacks: tags of IoT Core, of budgets and of what is scaled, tags that a stream, vault or plan is made with,
one address of IoT Core instead of another at each call, logs of a bucket whose target lets the service of S3 in by one statement among others, alarms of
alarms, and the authority that a database's certificate has when none is named: at another one the provider changes it, and waits for that. What is
scaled and is not there is not found, as at AWS. A call that its SDK repeats is done once.
One request at a time, as moto's state is not made for several threads.
"""

import json
import sys
from collections import OrderedDict, defaultdict
from urllib.parse import parse_qsl, unquote

from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.backup.responses import BackupResponse
from moto.backup.urls import url_paths as backup_urls
from moto.budgets.responses import BudgetsResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.iot.models import FakeEndpoint, IoTBackend
from moto.iot.responses import IoTResponse
from moto.kinesis.responses import KinesisResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.rds.models import RDSBackend
from moto.s3.models import LOGGING_SERVICE_PRINCIPAL, FakeBucket
from werkzeug.serving import run_simple
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

TAGS = defaultdict(dict)


def pairs(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def keep(arn, tags):
    TAGS[arn].update({tag["Key"]: tag.get("Value", "") for tag in tags or []})


def forget(arn, keys):
    for key in keys or []:
        TAGS[arn].pop(key, None)


# IoT Core: tags by the name of a resource, also those that it is made with.
def iot_list(self):
    return json.dumps({"tags": pairs(TAGS[self._get_param("resourceArn")])})


def iot_tag(self):
    keep(self._get_param("resourceArn"), self._get_param("tags"))
    return "{}"


def iot_untag(self):
    forget(self._get_param("resourceArn"), self._get_param("tagKeys"))
    return "{}"


def made_with_tags(make, kind, name, tags_of):
    def wrapped(self):
        made = make(self)
        backend = self.iot_backend
        keep(f"arn:aws:iot:{backend.region_name}:{backend.account_id}:{kind}/{self._get_param(name)}", tags_of(self))
        return made

    return wrapped


def in_body(self):
    return self._get_param("tags")


def in_header(self):
    header = self.headers.get("x-amz-tagging", "")
    return [{"Key": key, "Value": value} for key, value in parse_qsl(header, keep_blank_values=True)]


def describe_endpoint(self, endpoint_type):
    key = f"{self.region_name} {endpoint_type}"
    return ENDPOINTS.setdefault(key, FakeEndpoint(endpoint_type, self.region_name))


ENDPOINTS = {}
IoTBackend.describe_endpoint = describe_endpoint
IoTResponse.list_tags_for_resource, IoTResponse.tag_resource, IoTResponse.untag_resource = iot_list, iot_tag, iot_untag
IoTResponse.create_thing_type = made_with_tags(IoTResponse.create_thing_type, "thingtype", "thingTypeName", in_body)
IoTResponse.create_policy = made_with_tags(IoTResponse.create_policy, "policy", "policyName", in_body)
IoTResponse.create_topic_rule = made_with_tags(IoTResponse.create_topic_rule, "rule", "ruleName", in_header)


# Budgets.
make_budget = BudgetsResponse.create_budget


def create_budget(self):
    made = make_budget(self)
    name = self._get_param("Budget")["BudgetName"]
    keep(f"arn:aws:budgets::{self._get_param('AccountId')}:budget/{name}", self._get_param("ResourceTags"))
    return made


def budgets_list(self):
    return json.dumps({"ResourceTags": pairs(TAGS[self._get_param("ResourceARN")])})


def budgets_tag(self):
    keep(self._get_param("ResourceARN"), self._get_param("ResourceTags"))
    return "{}"


def budgets_untag(self):
    forget(self._get_param("ResourceARN"), self._get_param("ResourceTagKeys"))
    return "{}"


def describe_subscribers_for_notification(self):
    budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
    asked = self._get_param("Notification")
    of = [each.subscribers for each in budget.notifications if all(each.details.get(key) == asked[key] for key in asked)]
    return json.dumps({"Subscribers": [subscriber for each in of for subscriber in each]})


BudgetsResponse.create_budget = create_budget
BudgetsResponse.describe_subscribers_for_notification = describe_subscribers_for_notification
BudgetsResponse.list_tags_for_resource, BudgetsResponse.tag_resource = budgets_list, budgets_tag
BudgetsResponse.untag_resource = budgets_untag


# What is scaled.
register = ApplicationAutoScalingResponse.register_scalable_target


def register_scalable_target(self):
    made = register(self)
    TAGS[json.loads(made)["ScalableTargetARN"]].update(self._get_param("Tags") or {})
    return made


def scaling_list(self):
    return json.dumps({"Tags": TAGS[self._get_param("ResourceARN")]})


def scaling_tag(self):
    TAGS[self._get_param("ResourceARN")].update(self._get_param("Tags") or {})
    return "{}"


def scaling_untag(self):
    forget(self._get_param("ResourceARN"), self._get_param("TagKeys"))
    return "{}"


ApplicationAutoScalingResponse.register_scalable_target = register_scalable_target
ApplicationAutoScalingResponse.list_tags_for_resource = scaling_list
ApplicationAutoScalingResponse.tag_resource = scaling_tag
ApplicationAutoScalingResponse.untag_resource = scaling_untag


# What is to be deleted and is not there: the provider takes the error of AWS as done, and moto's own as a failure.
def not_found(delete):
    def wrapped(self, *args, **named):
        try:
            delete(self, *args, **named)
        except AWSValidationException as error:
            raise JsonRESTError("ObjectNotFoundException", error.message) from error

    return wrapped


for name in ("deregister_scalable_target", "delete_scaling_policy"):
    setattr(ApplicationAutoscalingBackend, name, not_found(getattr(ApplicationAutoscalingBackend, name)))


# Streams: the tags that one is made with, and the newer call for them.
make_stream = KinesisResponse.create_stream


def create_stream(self):
    made = make_stream(self)
    name, tags = self._get_param("StreamName"), self._get_param("Tags") or {}
    self.kinesis_backend.add_tags_to_stream(stream_arn=None, stream_name=name, tags=tags)
    return made


def stream_tags(self):
    arn = self._get_param("ResourceARN")
    found = self.kinesis_backend.list_tags_for_stream(
        stream_arn=arn, stream_name=None, exclusive_start_tag_key=None, limit=None
    )
    return ActionResult({"Tags": found["Tags"]})


KinesisResponse.create_stream = create_stream
KinesisResponse.list_tags_for_resource = stream_tags


# Backups: the name of a resource is all of the path that follows; a vault that is emptied before it is destroyed has nothing in it.
def backup_list(self):
    arn = unquote(self.path.split("/tags/", 1)[1].rstrip("/"))
    return json.dumps({"Tags": self.backup_backend.list_tags(resource_arn=arn)})


def no_recovery_points(self):
    return json.dumps({"RecoveryPoints": []})


BackupResponse.list_tags = backup_list
BackupResponse.list_recovery_points_by_backup_vault = no_recovery_points
backup_urls["{0}/backup-vaults/(?P<name>[^/]+)/recovery-points/?$"] = BackupResponse.dispatch


# Logs of a bucket.
def may_log(target_bucket, target_prefix):
    wanted = f"arn:{target_bucket.partition}:s3:::{target_bucket.name}/{target_prefix or ''}*"
    for statement in json.loads(target_bucket.policy.decode())["Statement"] if target_bucket.policy else []:
        principal = statement.get("Principal")
        service = principal.get("Service") if isinstance(principal, dict) else None
        resources = statement.get("Resource")
        if service == LOGGING_SERVICE_PRINCIPAL and wanted in ([resources] if isinstance(resources, str) else resources):
            return statement["Effect"] == "Allow"
    return False


FakeBucket._log_permissions_enabled_policy = staticmethod(may_log)


# Alarms of alarms: moto keeps one as it keeps any other, with its rule, and lists it as what it is.
CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm


# Databases.
make_database = RDSBackend.create_db_instance


def create_db_instance(self, db_kwargs):
    db_kwargs.setdefault("ca_certificate_identifier", "rds-ca-rsa2048-g1")
    return make_database(self, db_kwargs)


RDSBackend.create_db_instance = create_db_instance


# A call whose answer is lost on the way is repeated by the SDK, as the same invocation. Done twice it would be refused, as what it made is there already and
# what it deleted is not there any more: it gets the answer of the first time. One that was refused is done again. Who repeats a call does so within seconds.
KEPT_ANSWERS = 1000


class OneAnswer:
    def __init__(self, app):
        self.app, self.answers, self.again = app, OrderedDict(), []

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/answered-again":
            return Response(json.dumps(self.again), mimetype="application/json")(environ, start_response)
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
        if invocation in self.answers:
            body, status, headers = self.answers[invocation]
            self.again.append(called(Request(environ)))
        else:
            body, status, headers = run_wsgi_app(self.app, environ, buffered=True)
            if invocation and status.startswith("2"):
                self.answers[invocation] = body, status, headers
            if len(self.answers) > KEPT_ANSWERS:
                self.answers.popitem(last=False)
        start_response(status, list(headers))
        return body


def called(request):
    return request.headers.get("X-Amz-Target") or request.form.get("Action") or f"{request.method} {request.path}"


app = OneAnswer(DomainDispatcherApplication(create_backend_app))
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=False)
