/**
 * The script of the embedded model: it inspects a diff by two children, and answers anything else by saying what it is.
 */
import { always, on, type Script, task, type Turn, type View } from "../services/Script.js"
import { changedFiles, changedFilesPrompt } from "./inspect/changedFiles.js"
import { lastCommit, lastCommitPrompt } from "./inspect/lastCommit.js"

const canDelegate = ({ request }: View): boolean => request.tools.some(({ name }) => name === "task")

const asksForDiff = (view: View): boolean =>
  canDelegate(view) && /\b(diffs?|changes?|commits?|inspect|review)\b/i.test(view.prompt)

export const script: Script = [
  lastCommit,
  changedFiles,
  on(
    asksForDiff,
    {
      text: "Two children will look at the repository at once: one reads the last commit's diff, the other the changed files and what is around them.",
      chunk: 24,
      calls: [
        task(lastCommitPrompt, { description: "the last commit's diff" }),
        task(changedFilesPrompt, { description: "the changed files and their surroundings" })
      ]
    },
    (view) => answer(view)
  ),
  always({
    text: 'I am the scripted model embedded in Baton, not a language model: all that I can do is inspect a diff, as in `baton prompt "inspect the diff"`. Set ANTHROPIC_API_KEY or OPENAI_API_KEY to have a real model answer.',
    chunk: 24
  })
]

// ------------------------------------------------------------------------------------------------ the answer

/** What a child said: its sentences, and what it said under each word, with the lines below it. */
interface Said {
  readonly sentences: ReadonlyArray<string>
  readonly under: ReadonlyMap<string, { readonly head: string; readonly below: ReadonlyArray<string> }>
}

/** Made of what the children said, and of nothing else. */
const answer = ({ results }: View): Turn => {
  const [diff, files] = results.map(({ isError, text }) => hear(isError ? `This was not looked at. ${text}` : text))
  const parts = diff === undefined || files === undefined ? [["The children brought no answer."]] : compose(diff, files)
  const text = parts.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"))
  return { text: text.join("\n\n"), chunk: 24 }
}

const compose = (diff: Said, files: Said): ReadonlyArray<ReadonlyArray<string>> => {
  const changes = head(diff, "Total")
  return [
    [...diff.sentences, ...(changes === undefined ? [] : [`${changes}: ${head(diff, "Kinds")}.`])],
    below(diff, "Files"),
    lines(diff, ["Tests", "Docs"]),
    [...lines(diff, ["Findings"], "To look at"), ...below(diff, "Findings")],
    changes === undefined && files.under.size > 0 ? ["So these are the files of the folder instead."] : files.sentences,
    [...lines(files, ["Outside", "Unread", "Files", "Folders"])],
    [
      ...lines(files, ["Read"], changes === undefined ? "Read first" : "Read"),
      ...below(files, "Read"),
      ...lines(files, ["Around", "Mentions", "Named after it", "Later"])
    ],
    lines(diff, ["Worktree"])
  ]
}

const words = [
  "Total",
  "Kinds",
  "Tests",
  "Docs",
  "Files",
  "Findings",
  "Worktree",
  "Outside",
  "Unread",
  "Folders",
  "Read",
  "Around",
  "Mentions",
  "Named after it",
  "Later"
]

const hear = (text: string): Said => {
  const sentences: Array<string> = []
  const under = new Map<string, { readonly head: string; readonly below: Array<string> }>()
  let last: Array<string> | undefined
  for (const line of text.split("\n")) {
    const word = words.find((it) => line.startsWith(`${it}:`))
    if (word !== undefined) {
      last = []
      under.set(word, { head: line.slice(word.length + 1).trim(), below: last })
    } else if (line.startsWith("  ") && last !== undefined) last.push(line)
    else if (line.trim() !== "") sentences.push(line)
  }
  return { sentences, under }
}

const head = (said: Said, word: string): string | undefined => said.under.get(word)?.head

const below = (said: Said, word: string): ReadonlyArray<string> => said.under.get(word)?.below ?? []

const lines = (said: Said, of: ReadonlyArray<string>, title?: string): ReadonlyArray<string> =>
  of.flatMap((word) => {
    const text = head(said, word)
    if (text === undefined) return []
    return [text === "" ? `${title ?? word}:` : `${title ?? word}: ${text}${below(said, word).length > 0 ? ":" : "."}`]
  })
