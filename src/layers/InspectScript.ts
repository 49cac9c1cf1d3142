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
    text: "I am the scripted model embedded in Baton, not a language model: all that I can do is inspect a diff, as in `baton prompt \"inspect the diff\"`. Set ANTHROPIC_API_KEY or OPENAI_API_KEY to have a real model answer.",
    chunk: 24
  })
]

/** Made of what the children said, and of nothing else. */
const answer = ({ results }: View): Turn => {
  const [diff, files] = results
  const said = [
    diff === undefined ? "The last commit was not read." : diff.isError ? `The last commit was not read: ${diff.text}` : diff.text,
    files === undefined ? "The files were not read." : files.isError ? `The files were not read: ${files.text}` : files.text
  ].map((text) => text.split("\n"))
  const [commit, around] = said as [Array<string>, Array<string>]
  const hasDiff = commit.some((line) => line.startsWith("Total: "))
  const text = hasDiff
    ? [...commit, "", ...around]
    : [...commit, "", "So I looked at the files instead.", ...around]
  return { text: text.join("\n"), chunk: 24 }
}
