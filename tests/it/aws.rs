//! Signing in to AWS, against the simulator's issuer and STS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use touchdown::clock::Clock;
use touchdown::cloud::aws::ecr::{Repository, digest};
use touchdown::cloud::aws::{AwsAuth, AwsEndpoints, Entrance, Session};
use touchdown::failure::{Failure, Kind};
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::runner::env::Env;
use touchdown::runner::log::{Log, Style};
use touchdown::runner::oidc::Oidc;
use touchdown::simulator::Simulator;
use touchdown::simulator::handle::World;
use touchdown::values::Secret;

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
pub(crate) const REGION: &str = "eu-west-1";

/// A simulator, and everything a session with it needs.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) kept: Arc<Mutex<Vec<Secret>>>,
}

impl Stage {
    /// A world that runs `pace` times as fast as the wall, with a role that trusts the run.
    pub(crate) async fn at(pace: f64) -> Self {
        let clock = Clock::scaled(pace);
        let simulator = Simulator::start(clock.clone()).await.unwrap();
        let world = simulator.world();
        world.add_role(ROLE, &["repo:acme/shop:environment:production"]);
        let log = Log::new(Box::new(std::io::sink()), Style::Plain);
        Self { simulator, world, clock, log, kept: Arc::default() }
    }

    /// The client; `hosts` lead to the simulator, and so do those it has of its own.
    pub(crate) fn http(&self, hosts: &[&str]) -> Http {
        let endpoints = self.simulator.endpoints();
        let all = endpoints.hosts.iter().map(String::as_str).chain(hosts.iter().copied());
        let endpoints = Endpoints(all.map(|host| (Endpoints::key(host), endpoints.aws.clone())).collect());
        Http::new(Options { clock: self.clock.clone(), endpoints, fence: Fence(None), environment: BTreeMap::new() }).unwrap()
    }

    pub(crate) fn entrance(&self) -> Entrance {
        let endpoints = self.simulator.endpoints();
        let env: Env = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", endpoints.token_request_url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", endpoints.token_request_bearer),
        ]
        .into_iter()
        .collect();
        let (http, kept) = (self.http(&[]), self.kept.clone());
        Entrance {
            http: http.clone(),
            oidc: Oidc::of(&env, http, self.log.clone()),
            log: self.log.clone(),
            endpoints: AwsEndpoints { all: Some(endpoints.aws), ..AwsEndpoints::default() },
            session_name: "touchdown-42".to_owned(),
            kept: None,
            keep: Some(Arc::new(move |secret: &Secret| kept.lock().unwrap().push(secret.clone()))),
        }
    }

    pub(crate) async fn sign_in(&self) -> Session {
        Session::sign_in(&self.entrance(), &auth(), REGION).await.unwrap()
    }

    async fn refused(&self) -> Failure {
        Session::sign_in(&self.entrance(), &auth(), REGION).await.unwrap_err()
    }

    fn exchanges(&self) -> usize {
        self.world.count("sts:AssumeRoleWithWebIdentity")
    }

    /// The identity tokens of all exchanges.
    fn tokens(&self) -> Vec<String> {
        let requests = self.world.requests();
        let exchanges = requests.iter().filter(|request| request.operation == "sts:AssumeRoleWithWebIdentity");
        exchanges.map(|request| field(&request.body, "WebIdentityToken")).collect()
    }
}

fn auth() -> AwsAuth {
    AwsAuth { role: Some(ROLE.to_owned()), ..AwsAuth::default() }
}

fn field(form: &str, name: &str) -> String {
    let start = format!("{name}=");
    form.split('&').find_map(|pair| pair.strip_prefix(&start)).unwrap_or_default().to_owned()
}

async fn touch(session: &Session) -> Result<(), Failure> {
    let repository = Repository { account: "123456789012".to_owned(), region: REGION.to_owned(), name: "web".to_owned() };
    digest(session, &repository, "v1").await.map(|_| ())
}

#[tokio::test]
async fn signing_in_tells_who_it_is_and_names_the_session_after_the_run() {
    let stage = Stage::at(60.0).await;
    let session = stage.sign_in().await;
    assert_eq!(session.identity().account, "123456789012");
    assert_eq!(session.identity().arn, "arn:aws:sts::123456789012:assumed-role/deploy/touchdown-42");
    assert_eq!((stage.exchanges(), stage.world.count("oidc:token")), (1, 1));
}

#[tokio::test]
async fn keys_are_renewed_with_a_new_token_while_less_than_five_minutes_are_left_of_them() {
    let stage = Stage::at(1.0).await;
    stage.world.add_image(REGION, "web", "v1");
    stage.world.set_session_length(Duration::from_secs(20 * 60));
    let session = stage.sign_in().await;
    touch(&session).await.unwrap();
    assert_eq!(stage.exchanges(), 1);
    stage.world.set_session_length(Duration::from_secs(4 * 60));
    let short = stage.sign_in().await;
    let before = stage.exchanges();
    touch(&short).await.unwrap();
    touch(&short).await.unwrap();
    let mut tokens = stage.tokens();
    assert_eq!(tokens.len(), before + 2, "each call renewed what would soon end");
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), before + 2, "a token was used twice");
    assert_eq!(stage.kept.lock().unwrap().len(), before + 2, "what the post step needs is rewritten at each renewal");
}

#[tokio::test]
async fn a_renewal_that_fails_is_no_failure_while_the_old_keys_are_still_good() {
    let stage = Stage::at(1.0).await;
    stage.world.add_image(REGION, "web", "v1");
    stage.world.set_session_length(Duration::from_secs(4 * 60));
    let session = stage.sign_in().await;
    stage.world.fail_sign_in("IDPRejectedClaim", "the provider is having a bad day");
    touch(&session).await.unwrap();
}

#[tokio::test]
async fn secrets_are_masked_the_moment_they_are_born_and_identifiers_are_not() {
    let stage = Stage::at(60.0).await;
    stage.sign_in().await;
    let kept = stage.kept.lock().unwrap().last().unwrap().expose().to_owned();
    let keys: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let said = stage.log.redact(&format!("{} {} {}", text("secret"), text("token"), stage.tokens()[0]));
    for secret in [text("secret"), text("token"), stage.tokens()[0].clone()] {
        assert!(!said.contains(&secret), "{said}");
    }
    assert_eq!(stage.log.redact(ROLE), ROLE);
}

#[tokio::test]
async fn roles_are_chained_and_the_external_id_goes_with_the_last_one() {
    let stage = Stage::at(60.0).await;
    let (first, last) = ("arn:aws:iam::123456789012:role/hub", "arn:aws:iam::210987654321:role/spoke");
    stage.world.add_chained_role(first, None);
    stage.world.add_chained_role(last, Some("tenant-7"));
    let chain = |id: &str| AwsAuth {
        role_chain: vec![first.to_owned(), last.to_owned()],
        external_id: Some(Secret::new(id)),
        role_duration: Some(Duration::from_secs(3 * 3600)),
        ..auth()
    };
    let session = Session::sign_in(&stage.entrance(), &chain("tenant-7"), REGION).await.unwrap();
    assert_eq!(session.identity().arn, "arn:aws:sts::210987654321:assumed-role/spoke/touchdown-42");
    let refused = Session::sign_in(&stage.entrance(), &chain("tenant-8"), REGION).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Denied);
    assert!(refused.what.contains(last), "{refused}");
    assert!(refused.fix.iter().any(|fix| fix.contains("aws-external-id")) && !refused.to_string().contains("tenant-8"), "{refused}");
}

#[tokio::test]
async fn another_account_than_expected_is_refused_before_anything_else() {
    let stage = Stage::at(60.0).await;
    let auth = |account: &str| AwsAuth { expected_account: Some(account.to_owned()), ..auth() };
    Session::sign_in(&stage.entrance(), &auth("123456789012"), REGION).await.unwrap();
    let failure = Session::sign_in(&stage.entrance(), &auth("999999999999"), REGION).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Denied);
    assert!(failure.why[0].starts_with("expected 999999999999, signed in to 123456789012"), "{failure}");
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_each_with_a_token_of_its_own() {
    for (code, message) in [
        ("IDPCommunicationError", "the identity provider could not be reached"),
        ("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"),
        ("ExpiredTokenException", "Token expired"),
        ("Throttling", "Rate exceeded"),
    ] {
        let stage = Stage::at(60.0).await;
        stage.world.fail_sign_in(code, message);
        stage.sign_in().await;
        assert!(stage.exchanges() >= 2, "{code}");
        if code != "Throttling" {
            let tokens = stage.tokens();
            assert_ne!(tokens[0], tokens[1], "{code}");
        }
    }
}

#[tokio::test]
async fn errors_that_stay_are_tried_once_and_say_what_to_do() {
    for (code, message, kind, remedy) in [
        ("IDPRejectedClaim", "the claim was rejected", Kind::Denied, "audience"),
        ("InvalidIdentityToken", "No OpenIDConnect provider found in your account", Kind::Denied, "identity provider"),
        ("RegionDisabledException", "STS is not activated in this region", Kind::Config, "activate STS"),
        ("ValidationError", "the requested DurationSeconds exceeds the MaxSessionDuration", Kind::Config, "aws-role-duration"),
        ("PackedPolicyTooLarge", "too large", Kind::Config, ""),
        ("MalformedPolicyDocument", "malformed", Kind::Config, ""),
    ] {
        let stage = Stage::at(60.0).await;
        stage.world.fail_sign_in(code, message);
        let failure = stage.refused().await;
        assert_eq!((stage.exchanges(), failure.kind), (1, kind), "{code}: {failure}");
        assert!(failure.why[0].contains(code) && failure.why[0].contains(message), "{failure}");
        assert!(failure.fix.join(" ").contains(remedy), "{failure}");
    }
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_run_is_explained_in_seconds_with_the_statement_that_would() {
    let stage = Stage::at(1.0).await;
    stage.world.set_claims(&json!({ "sub": "repo:acme/shop:ref:refs/heads/main", "environment": null }));
    let began = Instant::now();
    let failure = stage.refused().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((failure.kind, stage.exchanges()), (Kind::Denied, 2));
    insta::assert_snapshot!(failure, @r#"
    AWS did not let this run assume arn:aws:iam::123456789012:role/deploy
      why  AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity
           the token's subject is repo:acme/shop:ref:refs/heads/main
           its audience is sts.amazonaws.com
           the job has no environment
      fix  a statement in the trust policy of arn:aws:iam::123456789012:role/deploy that admits exactly this run:
           {
             "Effect": "Allow",
             "Principal": {
               "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
             },
             "Action": "sts:AssumeRoleWithWebIdentity",
             "Condition": {
               "StringEquals": {
                 "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                 "token.actions.githubusercontent.com:sub": "repo:acme/shop:ref:refs/heads/main"
               }
             }
           }
           if the policy names an environment, give the job `environment: NAME`: without it the subject names the branch
    "#);
    let tokens = stage.tokens();
    assert!(!tokens.iter().any(|token| failure.to_string().contains(token.as_str())), "the token itself is never shown");
}

#[tokio::test]
async fn the_likely_cause_of_a_refused_sign_in_is_pointed_out() {
    for (sub, environment, hint) in [
        ("repo:acme@65001/shop@74001:environment:production", json!("production"), "carry ids"),
        ("repo:Acme/Shop:environment:production", json!("production"), "letter case"),
        ("repo:acme/shop:ref:refs/heads/topic", json!(null), "`environment: NAME`"),
        ("repository_id:74001", json!("production"), "leaves it out"),
    ] {
        let stage = Stage::at(60.0).await;
        stage.world.set_claims(&json!({ "sub": sub, "environment": environment }));
        let failure = stage.refused().await;
        assert!(failure.fix.iter().any(|fix| fix.contains(hint)), "{sub}: {failure}");
        assert!(failure.fix[0].contains(sub), "{failure}");
    }
}

#[tokio::test]
async fn other_partitions_have_their_own_hosts_and_arns() {
    for (partition, region, suffix) in [
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws", "eu-north-1", "amazonaws.com"),
    ] {
        let stage = Stage::at(60.0).await;
        let role = format!("arn:{partition}:iam::123456789012:role/deploy");
        stage.world.add_role(&role, &["repo:acme/shop:*"]);
        let host = format!("sts.{region}.{suffix}");
        let entrance = || Entrance { http: stage.http(&[&host]), endpoints: AwsEndpoints::default(), ..stage.entrance() };
        let auth = AwsAuth { role: Some(role), ..AwsAuth::default() };
        let session = Session::sign_in(&entrance(), &auth, region).await.unwrap();
        assert_eq!(session.identity().arn, format!("arn:{partition}:sts::123456789012:assumed-role/deploy/touchdown-42"));
        stage.world.set_claims(&json!({ "sub": "repo:somebody/else:ref:refs/heads/main" }));
        let refused = Session::sign_in(&entrance(), &auth, region).await.unwrap_err();
        assert!(refused.fix[0].contains(&format!("arn:{partition}:iam::123456789012:oidc-provider/")), "{refused}");
    }
}

#[tokio::test]
async fn the_post_step_falls_back_to_what_main_kept_when_it_is_given_no_token() {
    let stage = Stage::at(1.0).await;
    stage.sign_in().await;
    let kept = stage.kept.lock().unwrap().last().cloned();
    let without = |kept| {
        let none = Failure::new(Kind::Denied, "this job may not ask GitHub for an identity token");
        Entrance { oidc: Err(none), kept, keep: None, ..stage.entrance() }
    };
    let session = Session::sign_in(&without(kept.clone()), &auth(), REGION).await.unwrap();
    assert_eq!(session.identity().account, "123456789012");
    assert_eq!(Session::sign_in(&without(None), &auth(), REGION).await.unwrap_err().kind, Kind::Denied);
    let old = kept.map(|kept| {
        let mut keys: serde_json::Value = serde_json::from_str(kept.expose()).unwrap();
        keys["until"] = json!(1_000);
        Secret::new(keys.to_string())
    });
    assert_eq!(Session::sign_in(&without(old), &auth(), REGION).await.unwrap_err().kind, Kind::Denied);
    let garbage = Some(Secret::new("not json"));
    assert_eq!(Session::sign_in(&without(garbage), &auth(), REGION).await.unwrap_err().kind, Kind::Denied);
}

#[tokio::test]
async fn a_tag_is_looked_up_in_its_registry_and_a_missing_one_or_permission_is_named() {
    let stage = Stage::at(60.0).await;
    let expected = stage.world.add_image(REGION, "web", "v1");
    let session = stage.sign_in().await;
    let repository = Repository::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web").unwrap();
    assert_eq!(digest(&session, &repository, "v1").await.unwrap().as_str(), expected);
    let missing = digest(&session, &repository, "v2").await.unwrap_err();
    assert_eq!(missing.kind, Kind::Missing);
    assert!(missing.fix[0].contains("push the image first"), "{missing}");
    stage.world.deny("ecr:DescribeImages");
    let denied = digest(&session, &repository, "v1").await.unwrap_err();
    assert_eq!(denied.kind, Kind::Denied);
    assert!(denied.fix[0].contains("ecr:DescribeImages on repository/web"), "{denied}");
}

/// Both are what a user copies: they must be JSON, and the trust policy must not be open to every repository.
#[test]
fn the_example_policies_are_whole_and_narrow() {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let trust = read(include_str!("../../examples/aws/trust-policy.json"));
    let conditions = &trust["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(conditions["token.actions.githubusercontent.com:aud"], "sts.amazonaws.com");
    assert!(!conditions["token.actions.githubusercontent.com:sub"].as_str().unwrap().contains('*'));
    let policy = read(include_str!("../../examples/aws/policy.json"));
    let statements = policy["Statement"].as_array().unwrap();
    let of = |one: &serde_json::Value| match &one["Action"] {
        serde_json::Value::Array(actions) => actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect(),
        action => vec![action.as_str().unwrap().to_owned()],
    };
    let actions: Vec<String> = statements.iter().flat_map(of).collect();
    assert!(actions.iter().all(|action| !action.contains('*')), "{actions:?}");
    let api = include_str!("../../src/target/ecs/api.rs");
    let called = api.lines().filter_map(|line| line.trim().strip_prefix("self.call(\"")?.strip_suffix("\", body).await"));
    let ecs: Vec<String> = called.map(|operation| format!("ecs:{operation}")).collect();
    assert!(ecs.contains(&"ecs:UpdateService".to_owned()), "{ecs:?}");
    let others = ["elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth", "acm:DescribeCertificate"];
    for needed in ecs.iter().map(String::as_str).chain(others).chain(["logs:GetLogEvents", "ecr:DescribeImages", "ecr:BatchGetImage"]) {
        assert!(actions.iter().any(|action| action == needed), "{needed} is called and not in the policy");
    }
    let push = read(include_str!("../../examples/aws/policy-push.json"));
    let of_push: Vec<String> = push["Statement"].as_array().unwrap().iter().flat_map(of).collect();
    assert!(of_push.iter().all(|action| action.starts_with("ecr:") && !action.contains('*')), "{of_push:?}");
    assert_eq!(push["Statement"][0]["Action"], "ecr:GetAuthorizationToken", "the only one that has no repository");
    assert!(push["Statement"][1]["Resource"].as_str().unwrap().ends_with(":repository/REPOSITORY"));
    let passes = statements.iter().find(|one| of(one) == ["iam:PassRole"]).unwrap();
    assert_eq!(passes["Condition"]["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
}

#[test]
fn a_region_that_would_choose_the_host_is_none() {
    use touchdown::cloud::aws::is_region;
    assert!(["eu-west-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"].into_iter().all(is_region));
    for region in
        ["", "eu.attacker.example/x?", "eu-west-1.evil", "eu-west-1a", "eu-west", "EU-WEST-1", "a@b", "a:1", "eu-west-1#", &"x".repeat(33)]
    {
        assert!(!is_region(region), "{region:?}");
    }
}
