/**
 * Reading what tools and git say, and putting it into words.
 */
import type { ToolResult } from "../../services/Conversation.js"

/** What a call of `bash` brought. */
export interface Output {
  readonly stdout: string
  readonly stderr: string
  /** `undefined` where the command was not run to its end. */
  readonly code: number | undefined
}

/** The parts of a result of `bash`. */
export const outputOf = (result: ToolResult | undefined): Output => {
  const text = result?.text ?? ""
  const [tail, code] = /\[Exit code (\d+)[^\]]*\]\s*$/.exec(text) ?? []
  if (result === undefined || result.isError || tail === undefined) return { stdout: "", stderr: text, code: undefined }
  const body = text.slice(0, text.length - tail.length)
  const at = body.lastIndexOf("[stderr]\n")
  const isLed = at === 0 || body[at - 1] === "\n"
  const stdout = at >= 0 && isLed ? body.slice(0, at) : body
  return {
    stdout: stdout === "[No output.]\n" ? "" : stdout,
    stderr: at >= 0 && isLed ? body.slice(at + 9) : "",
    code: Number(code)
  }
}

/** The lines of a text, without empty ones. */
export const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

/** A path as git prints it: in quotes, with escapes, where it holds anything unusual. */
export const unquote = (printed: string): string => {
  if (!printed.startsWith('"') || !printed.endsWith('"') || printed.length < 2) return printed
  const bytes: Array<number> = []
  const body = Buffer.from(printed.slice(1, -1))
  for (let at = 0; at < body.length; at++) {
    const escape = body[at] === 0x5c ? body.toString("latin1", at + 1, at + 4) : ""
    const octal = /^[0-3][0-7]{2}$/.test(escape)
    if (octal) bytes.push(Number.parseInt(escape, 8))
    else bytes.push(escape === "" ? body[at]! : (escapes[escape[0]!] ?? escape.charCodeAt(0)))
    at += octal ? 3 : escape === "" ? 0 : 1
  }
  return Buffer.from(bytes).toString("utf8")
}

const escapes: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 }

/** A path for people: without quotes, unless it holds what a line of text cannot. */
export const readable = (printed: string): string => {
  const path = unquote(printed)
  return /[\p{Cc}\uFFFD]/u.test(path) ? printed : path
}

/** What kind of thing a file is, as far as its path tells. */
export type Kind = "test" | "documentation" | "configuration" | "source" | "text" | "other"

export const kindOf = (path: string): Kind => {
  const name = path.slice(path.lastIndexOf("/") + 1)
  if (/(^|\/)(tests?|spec|__tests__)\//.test(path) || /[._-](test|spec)s?(-d)?\.\w+$|^test_/.test(name)) return "test"
  if (
    /(^|\/)docs?\//.test(path) ||
    /\.(md|mdx|rst|adoc)$/i.test(name) ||
    /^(LICEN[CS]E|README|CHANGE|NOTICE)/.test(name)
  ) {
    return "documentation"
  }
  if (languageOf(name) !== undefined) return "source"
  if (name.startsWith(".") || /\.(json|jsonc|ya?ml|toml|ini|cfg|conf|lock|xml|properties)$/i.test(name))
    return "configuration"
  if (/\.(txt|csv|tsv|log)$/i.test(name)) return "text"
  return /^(Makefile|Dockerfile|Gemfile|Procfile)/.test(name) ? "configuration" : "other"
}

const languageOf = (name: string): string | undefined => languages[name.slice(name.lastIndexOf(".") + 1).toLowerCase()]

const languages: Readonly<Record<string, string>> = {
  ts: "TypeScript",
  tsx: "TypeScript",
  mts: "TypeScript",
  cts: "TypeScript",
  js: "JavaScript",
  jsx: "JavaScript",
  mjs: "JavaScript",
  cjs: "JavaScript",
  py: "Python",
  rs: "Rust",
  go: "Go",
  java: "Java",
  kt: "Kotlin",
  scala: "Scala",
  rb: "Ruby",
  php: "PHP",
  c: "C",
  h: "C",
  cc: "C++",
  cpp: "C++",
  hpp: "C++",
  cs: "C#",
  swift: "Swift",
  ex: "Elixir",
  hs: "Haskell",
  sh: "shell",
  sql: "SQL",
  html: "HTML",
  css: "CSS",
  scss: "CSS",
  vue: "Vue",
  svelte: "Svelte"
}

/** How many files of what kind, for instance `3 TypeScript, 1 test, 1 documentation`. */
export const kindsOf = (paths: ReadonlyArray<string>): string => {
  const counts = new Map<string, number>()
  for (const path of paths) {
    const kind = kindOf(path)
    const word = kind === "source" ? (languageOf(path) ?? kind) : kind
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .map(([word, count]) => `${count} ${word}`)
    .join(", ")
}

/** Words that someone left for later. */
export const laterWords = /\b(TODO|FIXME|XXX|HACK)\b/

export const count = (n: number, noun: string, plural = `${noun}s`): string =>
  `${n.toLocaleString("en-US")} ${n === 1 ? noun : plural}`

/** A text in one line of at most so many characters. */
export const short = (text: string, most: number): string => {
  const characters = [...text.replace(/\s+/g, " ").trim()]
  return characters.length <= most ? characters.join("") : `${characters.slice(0, most - 1).join("")}…`
}
