"""Fills a moto server with a service, or tells what stands in it: moto is the judge of what our client says to AWS.

    moto_stage.py URL fill DESIRED TAG    a service `web` with that many tasks of the image web:TAG, and a repository that has web:v2
    moto_stage.py URL look                the service, the newest task definition with its tags, the tasks that were run; as JSON
"""

import json
import sys

import boto3

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web"
url, what = sys.argv[1:3]
keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "somebodys-secret"}
ecs = boto3.client("ecs", endpoint_url=url, region_name="eu-west-1", **keys)
ec2 = boto3.client("ec2", endpoint_url=url, region_name="eu-west-1", **keys)
ecr = boto3.client("ecr", endpoint_url=url, region_name="eu-west-1", **keys)

if what == "fill":
    ecr.create_repository(repositoryName="web")
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 1, "digest": "sha256:" + "b" * 64}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {}, "layers": [layer]}
    ecr.put_image(repositoryName="web", imageTag="v2", imageManifest=json.dumps(manifest))
    digest = ecr.describe_images(repositoryName="web")["imageDetails"][0]["imageDigest"]
    ecs.create_cluster(clusterName="default")
    container = {
        "name": "app",
        "image": REPOSITORY + (":v1" if sys.argv[4] == "v1" else f"@{digest}"),
        "essential": True,
        "memory": 256,
        "portMappings": [{"containerPort": 8080}],
        "environment": [{"name": "VERSION", "value": "v1"}, {"name": "EMPTY", "value": ""}],
    }
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    tags = [{"key": "team", "value": "shop"}]
    ecs.register_task_definition(family="web", containerDefinitions=[container], tags=tags, **fargate)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "ENABLED"}}
    ecs.create_service(
        cluster="default",
        serviceName="web",
        taskDefinition="web:1",
        desiredCount=int(sys.argv[3]),
        launchType="FARGATE",
        networkConfiguration=network,
    )
else:
    service = ecs.describe_services(cluster="default", services=["web"], include=["TAGS"])["services"][0]
    newest = ecs.describe_task_definition(taskDefinition="web", include=["TAGS"])
    ran = [arn for status in ("RUNNING", "STOPPED") for arn in ecs.list_tasks(cluster="default", desiredStatus=status)["taskArns"]]
    tasks = ecs.describe_tasks(cluster="default", tasks=ran)["tasks"] if ran else []
    image = ecr.describe_images(repositoryName="web")["imageDetails"][0]
    told = {"service": service, "definition": newest["taskDefinition"], "tags": newest.get("tags", []), "tasks": tasks, "image": image}
    print(json.dumps(told, default=str))
