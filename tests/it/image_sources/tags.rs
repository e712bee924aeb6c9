//! Tag rules against what `docker/metadata-action` makes of the same lines: the tables of its README and of its own tests (2026-07).

use proptest::prelude::*;

use touchdown::clock::Timestamp;
use touchdown::image::reference::checked_tag;
use touchdown::image::tags::{Context, Rules};

const COMMIT: &str = "860c1904a1ce19322e91ac35af1ab07466440c37";

fn context(reference: &str) -> Context {
    let event = if reference.starts_with("refs/pull/") { "pull_request" } else { "push" };
    Context {
        reference: reference.to_owned(),
        commit: COMMIT.to_owned(),
        event: event.to_owned(),
        default_branch: Some("master".to_owned()),
        base: None,
        // 2020-01-10T00:30:00Z
        now: Timestamp(1_578_616_200_000),
    }
}

fn names(lines: &str, context: &Context) -> Vec<String> {
    Rules::parse(lines.lines()).unwrap_or_else(|mistakes| panic!("{lines}: {mistakes:?}")).expand(context).unwrap().names
}

fn mistake(line: &str) -> String {
    Rules::parse([line]).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_reference_names_its_branch_tag_or_pull_request_and_nothing_else() {
    let lines = "type=ref,event=branch\ntype=ref,event=tag\ntype=ref,event=pr";
    for (reference, expected) in [
        ("refs/heads/master", "master"),
        ("refs/heads/my/branch", "my-branch"),
        ("refs/heads/feat/a&b", "feat-a-b"),
        ("refs/heads/dependabot/npm_and_yarn/@types/node-20.1", "dependabot-npm_and_yarn-types-node-20.1"),
        ("refs/heads/fixes--it//twice", "fixes--it-twice"),
        ("refs/heads/größe", "gr-e"),
        ("refs/tags/v1.2.3", "v1.2.3"),
        ("refs/tags/v2.0.8-beta.67", "v2.0.8-beta.67"),
        ("refs/tags/p1/v1.2.3+build", "p1-v1.2.3-build"),
        ("refs/pull/2/merge", "pr-2"),
        ("refs/pull/318/head", "pr-318-head"),
    ] {
        assert_eq!(names(lines, &context(reference)), [expected], "{reference}");
    }
    assert!(names(lines, &context("")).is_empty());
}

#[test]
fn a_version_follows_its_pattern_and_one_before_its_release_only_ever_is_whole() {
    for (tag, pattern, expected) in [
        ("v1.2.3", "{{raw}}", "v1.2.3"),
        ("v1.2.3", "{{version}}", "1.2.3"),
        ("v1.2.3", "{{major}}.{{minor}}", "1.2"),
        ("v1.2.3", "v{{major}}", "v1"),
        ("v1.2.3", "{{minor}}", "2"),
        ("v1.2.3", "{{ patch }}", "3"),
        ("v1.2.3", "{{{version}}}", "1.2.3"),
        ("1.2.3", "{{version}}", "1.2.3"),
        ("v1.2.3+build.5", "{{version}}", "1.2.3"),
        ("v1.2.3+build.5", "{{raw}}", "v1.2.3-build.5"),
        ("v2.0.8-beta.67", "{{raw}}", "v2.0.8-beta.67"),
        ("v2.0.8-beta.67", "{{ raw }}", "v2.0.8-beta.67"),
        ("v2.0.8-beta.67", "{{version}}", "2.0.8-beta.67"),
        ("v2.0.8-beta.67", "{{major}}", "2.0.8-beta.67"),
        ("v2.0.8-beta.67", "{{major}}.{{minor}}", "2.0.8-beta.67"),
        ("v2.0.8-beta.67", "x{{raw}}", "2.0.8-beta.67"),
    ] {
        let line = format!("type=semver,pattern={pattern}");
        assert_eq!(names(&line, &context(&format!("refs/tags/{tag}"))), [expected], "{tag} {pattern}");
    }
    for none in ["v1", "v1.2", "01.2.3", "vv1.2.3", "release-1.2.3", "p1/v1.2.3", "v1.2.3-", "v1.2.99999999999999999999"] {
        assert!(names("type=semver,pattern={{version}}", &context(&format!("refs/tags/{none}"))).is_empty(), "{none}");
    }
}

#[test]
fn a_version_may_be_given_or_be_a_part_of_the_tag() {
    let branch = context("refs/heads/master");
    assert!(names("type=semver,pattern={{version}}", &branch).is_empty());
    assert!(names("type=semver,pattern={{version}},value=", &branch).is_empty());
    assert_eq!(names("type=semver,pattern={{version}},value=v1.0.0", &branch), ["1.0.0"]);
    assert_eq!(names("type=semver,pattern={{version}},value=p1/v1.0.0,match=v(\\d.\\d.\\d)$", &branch), ["1.0.0"]);
    assert_eq!(names("type=semver,pattern={{version}},\"match=v(\\d.\\d.\\d)$\"", &context("refs/tags/p1/v1.2.3")), ["1.2.3"]);
    assert!(names("type=semver,pattern={{version}},match=x(.*)", &context("refs/tags/p1/v1.2.3")).is_empty());
}

#[test]
fn a_commit_is_short_or_long_with_its_prefix_or_another() {
    let run = context("refs/heads/master");
    for (line, expected) in [
        ("type=sha", "sha-860c190"),
        ("type=sha,format=short", "sha-860c190"),
        ("type=sha,format=long", &format!("sha-{COMMIT}")),
        ("type=sha,prefix=", "860c190"),
        ("type=sha,prefix={{branch}}-", "master-860c190"),
        ("type=sha,prefix=git-,suffix=-x", "git-860c190-x"),
    ] {
        assert_eq!(names(line, &run), [expected], "{line}");
    }
    assert!(names("type=sha", &Context::default()).is_empty());
}

#[test]
fn plain_text_is_a_tag_and_templates_in_it_are_filled() {
    let run = Context { base: Some("master".to_owned()), ..context("refs/heads/my/branch") };
    for (line, expected) in [
        ("foo", "foo"),
        ("type=raw,foo", "foo"),
        ("type=raw,value=foo", "foo"),
        ("TYPE=raw, value = foo ", "foo"),
        ("sha-{{sha}}", "sha-860c190"),
        ("type=raw,value=mytag-{{branch}}-{{sha}}", "mytag-my-branch-860c190"),
        ("type=raw,value=mytag-{{tag}}", "mytag-"),
        ("type=raw,value=mytag-{{base_ref}}", "mytag-master"),
        ("type=raw,value={{date 'YYYYMMDD'}}", "20200110"),
        ("type=raw,value={{date 'YYYYMMDD-HHmmss' tz='UTC'}}", "20200110-003000"),
        ("{{date 'YYYY' tz='UTC'}}", "2020"),
        ("type=raw,value=a=b", "a-b"),
        ("\"value=a,b\"", "a-b"),
        ("\"value=say \"\"so\"\"\"", "say-so-"),
        ("=foo", "-foo"),
    ] {
        // A tag that begins with a hyphen is what metadata-action makes, and what no registry takes.
        let made = Rules::parse([line]).unwrap().expand(&run);
        match expected.starts_with('-') {
            true => assert!(made.unwrap_err().what.contains("is no tag"), "{line}"),
            false => assert_eq!(made.unwrap().names, [expected], "{line}"),
        }
    }
    // Handlebars escapes for HTML, and what is left of that is replaced.
    assert_eq!(names("x-{{branch}}", &context("refs/heads/a&b=c")), ["x-a-amp-b-x3D-c"]);
    assert_eq!(names("x-{{{branch}}}", &context("refs/heads/a&b=c")), ["x-a-b-c"]);
}

#[test]
fn latest_is_made_only_where_a_line_says_so_and_only_on_the_default_branch_where_it_says_that() {
    let line = "type=raw,value=latest,enable={{is_default_branch}}";
    assert_eq!(names(line, &context("refs/heads/master")), ["latest"]);
    for other in ["refs/heads/main", "refs/heads/x/master", "refs/tags/master", "refs/pull/2/merge", ""] {
        assert!(names(line, &context(other)).is_empty(), "{other}");
        assert_eq!(names(&line.replace("is_default", "is_not_default"), &context(other)), ["latest"], "{other}");
    }
    // Events without a branch of their own run on the last commit of the default one.
    for event in ["schedule", "issues", "issue_comment", "discussion_comment", "create"] {
        let made = names(line, &Context { event: event.to_owned(), ..context("refs/heads/trunk") });
        assert_eq!(made.is_empty(), event == "issue_comment", "{event}");
    }
    assert_eq!(names("type=semver,pattern={{version}}\ntype=ref,event=tag", &context("refs/tags/v1.2.3")), ["1.2.3", "v1.2.3"]);
    let unknown = Context { default_branch: None, ..context("refs/heads/master") };
    let failure = Rules::parse([line]).unwrap().expand(&unknown).unwrap_err();
    assert!(failure.to_string().contains("default branch is not known here") && failure.to_string().contains(line), "{failure}");
}

#[test]
fn the_first_tag_is_that_of_the_highest_priority_and_each_comes_once() {
    let lines = "# what people pin\n\ntype=sha\nfoo\ntype=ref,event=tag\n  type=semver,pattern={{version}}\ntype=semver,pattern=v{{version}}\nfoo,priority=950";
    assert_eq!(names(lines, &context("refs/tags/v1.2.3")), ["foo", "1.2.3", "v1.2.3", "sha-860c190"]);
}

#[test]
fn a_line_that_makes_no_tag_says_why() {
    let lines = "type=semver,pattern={{version}}\ntype=ref,event=pr\nfoo,enable=false\ntype=raw,value={{tag}}";
    let tags = Rules::parse(lines.lines()).unwrap().expand(&context("refs/heads/master")).unwrap();
    assert!(tags.names.is_empty());
    let why: Vec<&str> = tags.unused.iter().map(|unused| unused.why.as_str()).collect();
    assert_eq!(why, ["refs/heads/master is no tag", "refs/heads/master is no pull request", "it is not enabled", "it comes out empty"]);
}

#[test]
fn every_mistake_is_told_with_what_to_write() {
    for (line, told) in [
        ("type=schedule", "enable=${{ github.event_name == 'schedule' }}"),
        ("type=edge", "write type=raw,value=edge,enable={{is_default_branch}}"),
        ("type=pep440,pattern={{version}}", "write type=semver"),
        ("type=Sha", "write type=raw, type=sha"),
        ("type=semver", "write pattern={{version}}"),
        ("type=ref", "write event=branch"),
        ("type=ref,event=push", "write event=branch"),
        ("type=raw", "write value=TAG"),
        ("type=sha,format=medium", "write format=short"),
        ("type=sha,prefx=x", "write prefix="),
        ("type=sha,zzz=x", "write format=, enable=, prefix=, suffix=, priority="),
        ("foo,priority=high", "write a whole number"),
        ("type=semver,pattern={{branch}}", "write one of {{raw}}"),
        ("type=semver,pattern={{version}},match=(", "write match=v(.*)"),
        ("{{commit_date 'YYYY'}}", "write one of {{branch}}"),
        ("{{branch", "write {{branch}}"),
        ("{{date 'dddd'}}", "write {{date"),
        ("{{date 'YYYY' tz='Asia/Tokyo'}}", "which is in UTC"),
        ("a\"b", "put quotation marks"),
        ("\"a", "put quotation marks"),
        ("\"a\"b", "put quotation marks"),
    ] {
        assert!(mistake(line).contains(told), "{line}: {}", mistake(line));
        assert!(mistake(line).contains(&format!("in the line {line:?}")), "{}", mistake(line));
    }
    assert_eq!(Rules::parse(["type=x", "fine", "type=y"]).unwrap_err().len(), 2);
    let late = |line: &str| Rules::parse([line]).unwrap().expand(&context("refs/heads/-x")).unwrap_err().to_string();
    assert!(late("{{branch}}").contains("write 1 to 128 letters"), "{}", late("{{branch}}"));
    assert!(late("foo,enable=1").contains("true or false"));
    assert!(late("type=semver,pattern={{version}},value=v1.0.0,match=1").contains("match=v(.*)"));
}

proptest! {
    #[test]
    fn no_line_makes_the_reader_stumble_and_what_it_makes_is_a_tag(line in "\\PC{0,80}|(type=(raw|sha|ref|semver)|,|value=|pattern=|\\{\\{(raw|branch|date 'YY')\\}\\}|\"|[a-z1.]){0,12}", branch in "\\PC{0,40}") {
        if let Ok(rules) = Rules::parse([line.as_str()])
            && let Ok(tags) = rules.expand(&context(&format!("refs/heads/{branch}")))
        {
            for name in tags.names {
                prop_assert!(checked_tag(&name).is_ok(), "{}", name);
            }
        }
    }
}
