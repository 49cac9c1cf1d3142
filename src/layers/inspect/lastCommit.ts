/**
 * The child that reads the last commit's diff.
 */
import type { ToolResult } from "../../services/Conversation.js"
import { call, calls, on, type Scene, type Turn, type View } from "../../services/Script.js"
import { count, kindOf, kindsOf, laterWords, linesOf, outputOf, readable, short } from "./facts.js"

/** What the child is asked. */
export const lastCommitPrompt =
  "Read the diff of the repository's last commit with git. Tell which commit it is, what it changes, and what stands out in the lines that it adds. Change nothing."

/** The commit, as the child's first call brings it. */
interface Commit {
  readonly hash: string
  readonly parents: ReadonlyArray<string>
  readonly author: string
  readonly date: string
  readonly subject: string
  /** The clone holds only the newest commits, so that a parent may be missing. */
  readonly isShallow: boolean
}

/** In seconds. */
const timeout = 30

/** A merge is compared with its first parent, the first commit with nothing; no program of the user's is run. */
const showFlags = "-m --first-parent -M --format= --no-color --no-ext-diff --no-textconv --no-relative"

/** How much of an output is read: what a result has room for. */
const outputBytes = 40_000

export const lastCommit: Scene = on(
  (view) => view.prompt === lastCommitPrompt,
  calls(
    call("bash", {
      command: `git log -1 --format='%h%n%p%n%an%n%ad%n%s' --date=short --no-color --no-show-signature && git rev-parse --is-shallow-repository`,
      timeout
    }),
    call("bash", {
      command: "git --no-optional-locks -c core.fsmonitor=false status --porcelain | head -n 1000",
      timeout
    })
  ),
  (view) => {
    const commit = commitOf(view.allResults[0])
    if (typeof commit === "string") return commit
    return calls(
      ...["--shortstat", "--numstat", "--name-status"].map((what) =>
        call("bash", {
          command: `git show ${what} ${commit.hash} ${showFlags} | head -n 1000 | head -c ${outputBytes}`,
          timeout
        })
      )
    )
  },
  (view) => {
    const commit = commitOf(view.allResults[0])
    if (typeof commit === "string") return commit
    const patch = `git show -p -U0 ${commit.hash} ${showFlags} | head -c ${outputBytes}`
    return changesOf(view).length === 0 ? report(view, commit) : calls(call("bash", { command: patch, timeout }))
  },
  (view) => {
    const commit = commitOf(view.allResults[0])
    return typeof commit === "string" ? commit : report(view, commit)
  }
)

const commitOf = (result: ToolResult | undefined): Commit | string => {
  const { code, stderr, stdout } = outputOf(result)
  if (code === 0) {
    const [hash = "", parents = "", author = "", date = "", subject = "", shallow] = stdout.split("\n")
    const list = parents.split(" ").filter((parent) => parent !== "")
    return { hash, parents: list, author, date, subject, isShallow: shallow === "true" }
  }
  if (code === 127) return "There is no diff: git is not installed here."
  if (/not a git repository/.test(stderr)) return "There is no diff: this folder is not in a git repository."
  if (/does not have any commits|bad revision|unknown revision/.test(stderr))
    return "There is no diff: the repository has no commit yet."
  return `There is no diff: git could not read the last commit. It said: ${short(stderr, 200)}`
}

// ------------------------------------------------------------------------------------------------ what changed

interface Change {
  /** For a renamed file, both. */
  readonly path: string
  readonly status: string
  /** `undefined` for a binary file. */
  readonly lines: { readonly added: number; readonly removed: number } | undefined
}

/** Both lists tell the same files in the same order; only the second tells a renamed file's names apart. */
const changesOf = (view: View): ReadonlyArray<Change> => {
  const numbers = wholeLines(view.allResults[3])
  const names = wholeLines(view.allResults[4])
  return names.slice(0, numbers.length).map((line, index) => {
    const [status = "", from = "", to] = line.split("\t")
    const [added = "-", removed = "-"] = numbers[index]!.split("\t")
    return {
      path: to === undefined ? readable(from) : `${readable(from)} -> ${readable(to)}`,
      status: status.slice(0, 1),
      lines: added === "-" ? undefined : { added: Number(added), removed: Number(removed) }
    }
  })
}

/** The lines of an output, without the one at which it was cut. */
const wholeLines = (result: ToolResult | undefined): ReadonlyArray<string> => {
  const { stdout } = outputOf(result)
  return linesOf(
    Buffer.byteLength(stdout) < outputBytes ? stdout : stdout.slice(0, stdout.lastIndexOf("\n", stdout.length - 2))
  )
}

const sizeOf = ({ lines }: Change): number => (lines === undefined ? 0 : lines.added + lines.removed)

const report = (view: View, commit: Commit): Turn => {
  const changes = changesOf(view)
  const total = outputOf(view.allResults[2]).stdout.trim()
  const files = Number(/^\d+/.exec(total)?.[0] ?? changes.length)
  const paths = changes.map(({ path }) => path.split(" -> ").at(-1)!)
  const bySize = changes.toSorted((a, b) => sizeOf(b) - sizeOf(a))
  const shown = bySize.slice(0, mostFiles)
  const width = Math.max(...shown.map(({ path }) => Math.min(maxPath, path.length)))
  const touched = (kind: string) => paths.filter((path) => kindOf(path) === kind)
  const text = [
    `Commit ${commit.hash} "${short(commit.subject, 100)}" by ${short(commit.author, 60)} on ${commit.date}.`,
    ...lineageOf(commit),
    ...(changes.length === 0
      ? ["Its diff is empty: it changes no file."]
      : [
          ...(files > changes.length
            ? [`Of its files only the first ${changes.length.toLocaleString("en-US")} were looked at.`]
            : []),
          `Total: ${total}`,
          `Kinds: ${kindsOf(paths)}`,
          `Tests: ${listOf(touched("test"))}`,
          `Docs: ${listOf(touched("documentation"))}`,
          "Files:",
          ...shown.map((change) => fileLine(change, width)),
          ...(files > mostFiles ? [`  and ${count(files - mostFiles, "more file")}`] : []),
          ...findingsOf(outputOf(view.allResults[5]).stdout)
        ]),
    `Worktree: ${worktreeOf(view.allResults[1])}`
  ]
  return { text: text.join("\n"), chunk: 40 }
}

const mostFiles = 10

const lineageOf = ({ isShallow, parents }: Commit): ReadonlyArray<string> => {
  if (parents.length > 1) return [`It is a merge of ${parents.join(" and ")}; this is its diff against ${parents[0]}.`]
  if (parents.length > 0) return []
  return isShallow
    ? ["The clone is shallow and the commit's parent is not in it, so every file counts as added."]
    : ["It is the first commit, so every file counts as added."]
}

/** A file with git's letter for what happened to it. */
const fileLine = ({ lines, path, status }: Change, width: number): string =>
  `  ${status} ${short(path, maxPath).padEnd(width)}  ${lines === undefined ? "binary" : `+${lines.added} -${lines.removed}`}`

const maxPath = 60

const listOf = (paths: ReadonlyArray<string>): string => {
  if (paths.length === 0) return "none touched"
  const shown = paths.slice(0, 3).map((path) => short(path, maxPath))
  return `${shown.join(", ")}${paths.length > 3 ? ` and ${paths.length - 3} more` : ""}`
}

const worktreeOf = (result: ToolResult | undefined): string => {
  const { code, stdout } = outputOf(result)
  if (code !== 0) return "not known"
  const files = linesOf(stdout).length
  if (files === 0) return "nothing waits to be committed"
  return `${files >= 1000 ? "at least " : ""}${count(files, "path")} not committed, which this diff does not show`
}

// ------------------------------------------------------------------------------------------------ what stands out

/** What a reviewer would stop at, in the lines that a patch adds. */
const findingsOf = (patch: string): ReadonlyArray<string> => {
  const whole = Buffer.byteLength(patch) < outputBytes
  const found: Array<string> = []
  let path = ""
  let line = 0
  let inHunk = false
  for (const text of patch.split("\n")) {
    const hunk = /^@@ -\S+ \+(\d+)/.exec(text)
    if (text.startsWith("diff --git ")) inHunk = false
    else if (hunk !== null) [inHunk, line] = [true, Number(hunk[1])]
    else if (!inHunk && text.startsWith("+++ "))
      path = text
        .slice(4)
        .replace(/\t$/, "")
        .replace(/^("?)b\//, "$1")
    else if (inHunk && text.startsWith("+")) {
      const why = reasonOf(text.slice(1), path)
      if (why !== undefined)
        found.push(`  ${why} at ${short(readable(path), maxPath)}:${line}: ${short(text.slice(1), 80)}`)
      line++
    }
  }
  const read = `the added lines${whole ? "" : ` in the first ${count(outputBytes, "byte")} of the patch`}`
  if (found.length === 0) return [`Findings: no TODO, FIXME, XXX, HACK, debugger or focused test in ${read}`]
  const more = found.length > mostFindings ? [`  and ${found.length - mostFindings} more`] : []
  return [`Findings: ${found.length} of ${read}`, ...found.slice(0, mostFindings), ...more]
}

const mostFindings = 5

const reasonOf = (line: string, path: string): string | undefined => {
  const [, word] = laterWords.exec(line) ?? []
  if (word !== undefined) return word
  if (/^\s*debugger\b/.test(line)) return "debugger"
  return kindOf(path) === "test" && /\b(it|test|describe)\.only\(/.test(line) ? "focused test" : undefined
}
