/**
 * The child that looks at the changed files and what is around them, or at the files at hand where nothing changed.
 */
import type { ToolResult } from "../../services/Conversation.js"
import { call, calls, on, type Scene, type Turn, type View } from "../../services/Script.js"
import { count, type Kind, kindOf, kindsOf, laterWords, linesOf, outputOf, short, unquote } from "./facts.js"

/** What the child is asked. */
export const changedFilesPrompt =
  "Find out which files the repository's last commit changed, read the most telling of them, and look at what is around them. If there are none, look at the files of this folder. Change nothing."

/** Files that people write by hand. */
const sourceGlob = "*.{ts,tsx,js,jsx,mjs,py,rs,go,java,kt,rb,c,cc,cpp,h,cs,swift,sh,md}"

/** How much of a list of names is read: what a result has room for. */
const outputBytes = 40_000

export const changedFiles: Scene = on(
  (view) => view.prompt === changedFilesPrompt,
  calls(
    call("bash", {
      command: `git rev-parse --show-prefix && git show --name-only --diff-filter=d HEAD -m --first-parent --format= --no-color --no-relative | head -n 1000 | head -c ${outputBytes}`,
      timeout: 30
    })
  ),
  (view) => {
    const { chosen } = subjectOf(view)
    const [main] = chosen
    if (main === undefined) {
      return calls(
        call("glob", { pattern: "**/*" }),
        call("glob", { pattern: "*/" }),
        call("grep", { pattern: laterWords.source, glob: sourceGlob })
      )
    }
    return calls(
      ...chosen.map((path) => call("read", { path })),
      call("glob", { pattern: "*", path: folderOf(main) }),
      call("grep", { pattern: laterWords.source, path: main })
    )
  },
  (view) => {
    const { chosen } = subjectOf(view)
    const [main] = chosen
    if (main === undefined) {
      const telling = pick(filesOf(view.allResults[1]), ["documentation", "configuration", "source", "text"]).slice(
        0,
        3
      )
      return telling.length === 0 ? overview(view, []) : calls(...telling.map((path) => call("read", { path })))
    }
    const stem = stemOf(main)
    if (stem === undefined) return around(view, undefined)
    return calls(
      call("grep", { pattern: `\\b${stem}\\b`, path: topOf(main) }),
      call("glob", { pattern: `**/*${stem}*` })
    )
  },
  (view) => {
    const [main] = subjectOf(view).chosen
    if (main !== undefined) return around(view, stemOf(main))
    const telling = pick(filesOf(view.allResults[1]), ["documentation", "configuration", "source", "text"]).slice(0, 3)
    return overview(view, telling)
  }
)

// ------------------------------------------------------------------------------------------------ choosing

interface Subject {
  /** Changed files that are there, of the whole repository. */
  readonly all: number
  /** How many those are, in words. */
  readonly changed: string
  /** Those of them outside of this folder. */
  readonly outside: number
  /** Those to read, the most telling first, as seen from this folder. */
  readonly chosen: ReadonlyArray<string>
}

const subjectOf = (view: View): Subject => {
  const { code, stdout } = outputOf(view.allResults[0])
  if (code !== 0) return { all: 0, changed: "", outside: 0, chosen: [] }
  const isCut = Buffer.byteLength(stdout) >= outputBytes
  const [prefix = "", ...rest] = (isCut ? stdout.slice(0, stdout.lastIndexOf("\n", stdout.length - 2)) : stdout).split(
    "\n"
  )
  const folder = unquote(prefix)
  const paths = rest.filter((line) => line !== "").map(unquote)
  const here = paths.filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length))
  const chosen = pick(here, ["source", "test", "documentation", "configuration", "text", "other"]).slice(0, 4)
  const least = isCut || paths.length >= 1000 ? "at least " : ""
  return {
    all: paths.length,
    changed: least + count(paths.length, "changed file"),
    outside: paths.length - here.length,
    chosen
  }
}

/** The files of some kinds, in the order of the kinds; without lock files, which tell little. */
const pick = (paths: ReadonlyArray<string>, kinds: ReadonlyArray<Kind>): ReadonlyArray<string> =>
  kinds.flatMap((kind) => paths.filter((path) => kindOf(path) === kind && !/(lock|\.lock|-lock\.\w+)$/.test(path)))

const folderOf = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".")

const topOf = (path: string): string => (path.includes("/") ? path.slice(0, path.indexOf("/")) : ".")

/** The word by which other files would speak of a file; nothing where it is too common or no plain word. */
const stemOf = (path: string): string | undefined => {
  const stem = path.slice(path.lastIndexOf("/") + 1).replace(/\..*$/, "")
  return /^[A-Za-z][\w-]{2,60}$/.test(stem) && !/^(index|main|mod|lib|README|package)$/i.test(stem) ? stem : undefined
}

// ------------------------------------------------------------------------------------------------ results

/** The paths that `glob` found. */
const filesOf = (result: ToolResult | undefined): ReadonlyArray<string> =>
  result === undefined || result.isError ? [] : linesOf(result.text).filter((line) => !line.startsWith("["))

const isCut = (result: ToolResult | undefined): boolean => /there are more\./.test(result?.text.slice(-300) ?? "")

/** The lines that `grep` found. */
const matchesOf = (result: ToolResult | undefined): ReadonlyArray<string> =>
  result === undefined || result.isError ? [] : linesOf(result.text).filter((line) => /^[^[].*?:\d+:/.test(line))

const fileOf = (match: string): string => /^(.*?):\d+:/.exec(match)?.[1] ?? match

/** Files in a line each: how long they are, and what they say of themselves. */
const described = (paths: ReadonlyArray<string>, results: ReadonlyArray<ToolResult | undefined>) => {
  const width = Math.max(...paths.map((path) => Math.min(maxPath, path.length)))
  return paths.map((path, index) => `  ${short(path, maxPath).padEnd(width)}  ${contentOf(results[index])}`)
}

const maxPath = 60

const contentOf = (result: ToolResult | undefined): string => {
  if (result === undefined || result.isError) return "could not be read"
  const rows = linesOf(result.text).flatMap((line) => {
    const [, text] = /^\d+\t(.*)$/s.exec(line) ?? []
    return text === undefined ? [] : [text]
  })
  if (rows.length === 0) return short(result.text.replace(/^\[|\]$/g, ""), 80)
  const more = /\[End of the file/.test(result.text.slice(-200)) ? "" : "more than "
  const saying = firstSentence(rows)
  return `${more}${count(rows.length, "line")}${saying === undefined ? "" : `, "${short(saying, 80)}"`}`
}

/** The heading or the first comment near the top of a file. */
const firstSentence = (rows: ReadonlyArray<string>): string | undefined => {
  for (const row of rows.slice(0, 6)) {
    if (row.startsWith("#!")) continue
    const [, text] = /^\s*(?:\/\*\*?|\*|\/\/+|#+|<!--|"""|--)\s*(.*?)\s*(?:\*\/|-->|""")?$/.exec(row) ?? []
    if (text !== undefined && /\w/.test(text)) return text
    if (text === undefined && row.trim() !== "") return undefined
  }
  return undefined
}

const laterOf = (matches: ReadonlyArray<string>, where: string): string => {
  const [first] = matches
  if (first === undefined) return `no TODO, FIXME, XXX or HACK in ${where}`
  const lines = matches.length >= 100 ? "at least 100 lines" : count(matches.length, "line")
  return `${lines} with TODO, FIXME, XXX or HACK in ${where}, first ${short(first, 80)}`
}

/** The changed files, and their surroundings. */
const around = (view: View, stem: string | undefined): Turn => {
  const { changed, chosen, outside } = subjectOf(view)
  const results = view.allResults.slice(1)
  const [main = ""] = chosen
  const [neighbours, later, mentions, named] = results.slice(chosen.length)
  const folder = folderOf(main) === "." ? "the top folder" : short(folderOf(main), maxPath)
  const top = topOf(main) === "." ? "this folder" : topOf(main)
  return {
    text: [
      `Read: ${chosen.length} of ${changed}${outside === 0 ? "" : `, ${outside} of which are outside of this folder`}`,
      ...described(chosen, results),
      `Around: ${folder} holds ${isCut(neighbours) ? "more than " : ""}${count(filesOf(neighbours).length, "file")}`,
      ...(stem === undefined
        ? []
        : [`Mentions: ${mentionsOf(mentions, main, stem, top)}`, `Named after it: ${testsOf(named, main, stem)}`]),
      `Later: ${laterOf(
        matchesOf(later).map((match) => match.replace(`${main}:`, "line ").replace(":", ": ")),
        short(main, maxPath)
      )}`
    ].join("\n"),
    chunk: 40
  }
}

const mentionsOf = (result: ToolResult | undefined, main: string, stem: string, top: string): string => {
  const matches = matchesOf(result)
  const files = new Set(matches.map(fileOf).filter((file) => file !== main)).size
  if (files === 0) return `no other file under ${top} has the word ${stem}`
  return `${matches.length >= 100 ? "at least " : ""}${count(files, "other file")} under ${top} ${files === 1 ? "has" : "have"} the word ${stem}`
}

const testsOf = (result: ToolResult | undefined, main: string, stem: string): string => {
  const tests = filesOf(result).filter((path) => path !== main && kindOf(path) === "test")
  if (tests.length === 0) return `no test has ${stem} in its name`
  return `${tests
    .slice(0, 3)
    .map((path) => short(path, maxPath))
    .join(", ")}${tests.length > 3 ? ` and ${tests.length - 3} more` : ""}`
}

/** The files of a folder in which nothing is known to have changed. */
const overview = (view: View, read: ReadonlyArray<string>): Turn => {
  const { all, changed, outside } = subjectOf(view)
  const [, found, folders, later, ...pages] = view.allResults
  const files = filesOf(found)
  // Where this conversation is kept is nothing to look at.
  const top = filesOf(folders).filter((path) => path !== ".baton/")
  const why =
    all === 0
      ? []
      : outside === all
        ? [`Outside: of this folder are all of ${changed}, so these are the files in it`]
        : ["Unread: of the changed files here none tells anything"]
  return {
    text: [
      ...why,
      files.length === 0
        ? "Files: none; the folder is empty, or everything in it is ignored"
        : `Files: ${isCut(found) ? "more than " : ""}${count(files.length, "file")} (${kindsOf(files)})`,
      ...(top.length === 0 ? [] : [`Folders: ${foldersOf(top)}`]),
      ...(read.length === 0 ? [] : ["Read:", ...described(read, pages)]),
      ...(files.length === 0 ? [] : [`Later: ${laterOf(matchesOf(later), "its text files")}`])
    ].join("\n"),
    chunk: 40
  }
}

const foldersOf = (paths: ReadonlyArray<string>): string =>
  `${paths
    .slice(0, 8)
    .map((path) => short(path, 40))
    .join(", ")}${paths.length > 8 ? ` and ${paths.length - 8} more` : ""}`
