"""Drives the simulator with boto3: botocore checks every answer against AWS's own service models.

Usage: boto3_judge.py ENDPOINT TOKEN_URL TOKEN_BEARER ROLE REGION
Prints `ok NAME` for every check; exits non-zero at the first that fails.
"""

import base64
import hashlib
import json
import sys
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ENDPOINT, TOKEN_URL, BEARER, ROLE, REGION = sys.argv[1:6]


def ok(name):
    print("ok", name, flush=True)


def token(audience="sts.amazonaws.com", bearer=BEARER):
    request = urllib.request.Request(f"{TOKEN_URL}&audience={audience}", headers={"Authorization": f"Bearer {bearer}"})
    return json.load(urllib.request.urlopen(request))["value"]


def expect_error(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        assert error.response["Error"]["Message"], error.response
        return error.response
    raise AssertionError(f"{code} expected")


def client(service, credentials=None):
    keys = {}
    if credentials:
        keys = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials.get("SessionToken"),
        }
    config = Config(retries={"max_attempts": 1}, parameter_validation=True)
    return boto3.client(service, region_name=REGION, endpoint_url=ENDPOINT, config=config, **keys)


def sign_in():
    sts = client("sts", {"AccessKeyId": "x", "SecretAccessKey": "y"})
    answer = sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="judge", WebIdentityToken=token())
    assert answer["SubjectFromWebIdentityToken"] == "repo:acme/shop:environment:production", answer
    assert answer["Credentials"]["Expiration"].year >= 2026
    ok("sts assume-role-with-web-identity")
    who = client("sts", answer["Credentials"]).get_caller_identity()
    assert who["Arn"].endswith(":assumed-role/deploy/judge") and who["Account"] == "123456789012", who
    ok("sts get-caller-identity")
    arguments = {"RoleArn": ROLE, "RoleSessionName": "judge"}
    forged = token()[:-4] + "AAAA"
    expect_error("InvalidIdentityToken", sts.assume_role_with_web_identity, WebIdentityToken=forged, **arguments)
    expect_error("InvalidIdentityToken", sts.assume_role_with_web_identity, WebIdentityToken=token("else"), **arguments)
    other = {"RoleArn": ROLE + "-other", "RoleSessionName": "judge"}
    expect_error("AccessDenied", sts.assume_role_with_web_identity, WebIdentityToken=token(), **other)
    expect_error("ValidationError", sts.assume_role_with_web_identity, WebIdentityToken=token(), **arguments, DurationSeconds=1000000)
    bad = dict(answer["Credentials"], SecretAccessKey="wrong")
    expect_error("SignatureDoesNotMatch", client("sts", bad).get_caller_identity)
    ok("sts errors")
    return answer["Credentials"]


def definition(ecs, version, **more):
    container = {"name": "app", "image": f"example.com/web:{version}", "memory": 128}
    container["portMappings"] = [{"containerPort": 8080}]
    container["environment"] = [{"name": "VERSION", "value": version}, {"name": "EMPTY", "value": ""}]
    container.update(more)
    arguments = {"family": "judged", "networkMode": "bridge", "containerDefinitions": [container]}
    return ecs.register_task_definition(tags=[{"key": "team", "value": "shop"}], **arguments)["taskDefinition"]


def definitions(ecs):
    first = definition(ecs, "v1")
    second = definition(ecs, "v2")
    assert (first["revision"], second["revision"]) == (1, 2)
    shown = ecs.describe_task_definition(taskDefinition="judged:1", include=["TAGS"])
    assert shown["tags"] == [{"key": "team", "value": "shop"}], shown
    assert {"name": "EMPTY", "value": ""} in shown["taskDefinition"]["containerDefinitions"][0]["environment"]
    arns = ecs.list_task_definitions(familyPrefix="judged")["taskDefinitionArns"]
    assert len(arns) == 2, arns
    expect_error("ClientException", ecs.describe_task_definition, taskDefinition="judged:9")
    ok("ecs task definitions")


def services(ecs):
    ecs.create_cluster(clusterName="judges")
    assert ecs.describe_clusters(clusters=["judges", "none"])["failures"][0]["reason"] == "MISSING"
    ecs.create_service(cluster="judges", serviceName="judged", taskDefinition="judged:1", desiredCount=2)
    wait(ecs)
    ok("ecs create-service and the services-stable waiter")
    service = update(ecs, "judged:2")
    assert service["deployments"][0]["status"] == "PRIMARY" and len(service["deployments"]) == 2, service
    # The first look may still show the service as it was: the waiter alone would be content with that.
    ours = service["deployments"][0]["id"]
    until("our deployment is seen", lambda: describe(ecs)["deployments"][0]["id"] == ours)
    wait(ecs)
    service = describe(ecs)
    assert service["deployments"][0]["rolloutState"] == "COMPLETED" and service["taskDefinition"].endswith("judged:2")
    assert service["events"][0]["message"].endswith("has reached a steady state."), service["events"][0]
    same = update(ecs, "judged:2")
    assert same["deployments"][0]["id"] == service["deployments"][0]["id"], "no change, no deployment"
    ok("ecs update-service")
    missing = ecs.describe_services(cluster="judges", services=["none"])
    assert missing["failures"][0]["reason"] == "MISSING", missing
    expect_error("ClusterNotFoundException", ecs.describe_services, cluster="none", services=["x"])
    expect_error("ServiceNotFoundException", ecs.update_service, cluster="judges", service="none", desiredCount=1)
    ok("ecs errors")


def describe(ecs, name="judged"):
    return ecs.describe_services(cluster="judges", services=[name], include=["TAGS"])["services"][0]


def update(ecs, revision, **more):
    return ecs.update_service(cluster="judges", service="judged", taskDefinition=revision, **more)["service"]


def wait(ecs):
    waiter = ecs.get_waiter("services_stable")
    waiter.wait(cluster="judges", services=["judged"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def until(what, condition):
    for _ in range(300):
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def deployments(ecs):
    service = update(ecs, "judged:1")
    number = service["deployments"][0]["id"].split("/")[1]
    listed = until("listed", lambda: [
        one for one in ecs.list_service_deployments(cluster="judges", service="judged")["serviceDeployments"]
        if number in one["targetServiceRevisionArn"]
    ])
    arn = listed[0]["serviceDeploymentArn"]
    assert ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")["serviceDeploymentArn"] == arn

    def rolled_back():
        one = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
        return one if one["status"] == "ROLLBACK_SUCCESSFUL" else None

    one = until("ROLLBACK_SUCCESSFUL", rolled_back)
    assert one["rollback"]["serviceRevisionArn"] and one["statusReason"], one
    assert describe(ecs)["taskDefinition"].endswith("judged:2")
    ok("ecs stop-service-deployment")
    expect_error("ConflictException", ecs.stop_service_deployment, serviceDeploymentArn=arn)
    expect_error("ServiceDeploymentNotFoundException", ecs.stop_service_deployment, serviceDeploymentArn=arn + "x")
    arns = [one["targetServiceRevision"]["arn"]]
    revision = ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"][0]
    assert revision["containerImages"][0]["imageDigest"].startswith("sha256:"), revision
    ok("ecs service revisions")


def tasks(ecs):
    arns = ecs.list_tasks(cluster="judges", serviceName="judged")["taskArns"]
    assert len(arns) == 2, arns
    task = ecs.describe_tasks(cluster="judges", tasks=arns)["tasks"][0]
    assert task["startedBy"].startswith("ecs-svc/") and task["containers"][0]["imageDigest"], task
    stopped = ecs.list_tasks(cluster="judges", serviceName="judged", desiredStatus="STOPPED")["taskArns"]
    assert stopped
    arguments = {"cluster": "judges", "taskDefinition": "judged:1", "clientToken": "one", "startedBy": "judge"}
    first = ecs.run_task(**arguments)["tasks"][0]
    assert ecs.run_task(**arguments)["tasks"][0]["taskArn"] == first["taskArn"]
    answer = expect_error("ConflictException", ecs.run_task, **dict(arguments, startedBy="other"))
    assert answer["resourceIds"] == [first["taskArn"]], answer
    waiter = ecs.get_waiter("tasks_stopped")
    waiter.wait(cluster="judges", tasks=[first["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    task = ecs.describe_tasks(cluster="judges", tasks=[first["taskArn"]])["tasks"][0]
    assert task["containers"][0]["exitCode"] == 0 and task["stopCode"] == "EssentialContainerExited", task
    ok("ecs tasks")


def tags(ecs):
    arn = describe(ecs)["serviceArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "touchdown", "value": "run 1"}])
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "touchdown", "value": "run 1"}]
    ecs.untag_resource(resourceArn=arn, tagKeys=["touchdown"])
    assert describe(ecs)["tags"] == []
    ok("ecs tags")


def balancing(credentials):
    elb, ecs = client("elbv2", credentials), client("ecs", credentials)
    service = ecs.describe_services(cluster="default", services=["web"])["services"][0]
    group = service["loadBalancers"][0]["targetGroupArn"]
    balancer = elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"][0]
    shown = elb.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"][0]
    assert shown["Scheme"] == "internet-facing" and shown["DNSName"].endswith(".elb.amazonaws.com"), shown
    listeners = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    secure = next(listener for listener in listeners if listener["Protocol"] == "HTTPS")
    assert elb.describe_listener_certificates(ListenerArn=secure["ListenerArn"])["Certificates"]
    rules = elb.describe_rules(ListenerArn=secure["ListenerArn"])["Rules"]
    assert rules[0]["Conditions"][0]["HostHeaderConfig"]["Values"] == ["web.example.com"], rules
    assert rules[0]["Actions"][0]["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"] == group, rules
    assert rules[-1]["IsDefault"]
    health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [target["TargetHealth"]["State"] for target in health] == ["healthy", "healthy"], health
    expect_error("TargetGroupNotFound", elb.describe_target_health, TargetGroupArn=group + "x")
    request = urllib.request.Request(ENDPOINT + "/health", headers={"Host": "web.example.com"})
    answer = urllib.request.urlopen(request)
    assert json.load(answer) == {"status": "ok", "version": "v1"} and answer.headers["X-Version"] == "v1"
    ok("elbv2 and the application behind it")


def logs_and_images(credentials):
    logs, ecs, ecr = client("logs", credentials), client("ecs", credentials), client("ecr", credentials)
    task = ecs.list_tasks(cluster="default", serviceName="web")["taskArns"][0].split("/")[-1]
    events = logs.get_log_events(logGroupName="/ecs/web", logStreamName=f"ecs/app/{task}", limit=50)["events"]
    assert "listening" in events[0]["message"], events
    assert logs.describe_log_streams(logGroupName="/ecs/web")["logStreams"]
    assert logs.filter_log_events(logGroupName="/ecs/web", filterPattern="listening")["events"]
    expect_error("ResourceNotFoundException", logs.get_log_events, logGroupName="none", logStreamName="none")
    ok("logs")
    ecr.create_repository(repositoryName="judged")
    expect_error("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="judged")
    expect_error("ImageNotFoundException", ecr.describe_images, repositoryName="judged", imageIds=[{"imageTag": "x"}])
    assert ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": "v1"}])["imageDetails"][0]["imageDigest"]
    assert ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "no"}])["failures"][0]["failureCode"] == "ImageNotFound"
    ok("ecr")


def registry(credentials):
    ecr = client("ecr", credentials)
    data = ecr.get_authorization_token()["authorizationData"][0]
    host = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
    assert data["proxyEndpoint"] == f"https://{host}", data
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:"), data
    assert data["expiresAt"].timestamp() > time.time() + 11 * 3600, data
    ok("ecr get-authorization-token")
    made = ecr.create_repository(repositoryName="team/pushed", imageTagMutability="IMMUTABLE")["repository"]
    assert made["repositoryUri"] == f"{host}/team/pushed" and made["imageTagMutability"] == "IMMUTABLE", made
    assert ecr.describe_repositories(repositoryNames=["team/pushed"])["repositories"] == [made]
    assert {one["repositoryName"] for one in ecr.describe_repositories()["repositories"]} >= {"team/pushed", "web"}
    expect_error("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=["none"])
    expect_error("InvalidParameterException", ecr.create_repository, repositoryName="Not/One")
    ok("ecr repositories")
    manifest, digest = push("team/pushed", data["authorizationToken"], host)
    shown = ecr.describe_images(repositoryName="team/pushed")["imageDetails"]
    assert [(one["imageDigest"], one["imageTags"], one["imageSizeInBytes"]) for one in shown] == [(digest, ["v1"], 5)], shown
    assert shown[0]["imageManifestMediaType"] == MANIFEST and shown[0]["imagePushedAt"], shown
    assert shown[0]["artifactMediaType"] == "application/vnd.oci.image.config.v1+json", shown
    assert ecr.describe_images(repositoryName="team/pushed", filter={"tagStatus": "UNTAGGED"})["imageDetails"] == []
    expect_error("ImageNotFoundException", ecr.describe_images, repositoryName="team/pushed", imageIds=[{"imageDigest": "sha256:" + "0" * 64}])
    got = ecr.batch_get_image(repositoryName="team/pushed", imageIds=[{"imageTag": "v1"}])["images"][0]
    assert got["imageManifest"] == manifest and got["imageId"] == {"imageDigest": digest, "imageTag": "v1"}, got
    ok("ecr images that were pushed")


def push(name, token, host):
    """Pushes as the distribution spec says; botocore has no part in it."""

    def send(method, path, body=b"", **headers):
        headers = {"Host": host, "Authorization": f"Basic {token}", **headers}
        request = urllib.request.Request(ENDPOINT + path, method=method, data=body, headers=headers)
        return urllib.request.urlopen(request)

    def blob(content, media_type):
        location = urllib.parse.urlparse(send("POST", f"/v2/{name}/blobs/uploads/").headers["Location"])
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        assert location.netloc == host and send("PUT", f"{location.path}?digest={digest}", content).status == 201
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    image = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(b"{}", "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(b"lay", "application/vnd.oci.image.layer.v1.tar")],
    }
    manifest = json.dumps(image)
    answer = send("PUT", f"/v2/{name}/manifests/v1", manifest.encode(), **{"Content-Type": MANIFEST})
    return manifest, answer.headers["Docker-Content-Digest"]


def main():
    credentials = sign_in()
    ecs = client("ecs", credentials)
    definitions(ecs)
    services(ecs)
    deployments(ecs)
    tasks(ecs)
    tags(ecs)
    balancing(credentials)
    logs_and_images(credentials)
    registry(credentials)
    ecs.deregister_task_definition(taskDefinition="judged:1")
    expect_error("ClientException", ecs.update_service, cluster="judges", service="judged", taskDefinition="judged:1")
    ecs.update_service(cluster="judges", service="judged", desiredCount=0)
    ecs.delete_service(cluster="judges", service="judged")
    assert describe(ecs)["status"] == "INACTIVE"
    ok("ecs inactive things")


main()
