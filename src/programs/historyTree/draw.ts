/**
 * A tree of a history as lines.
 */
import stringWidth from "string-width"
import type { Branch, HistoryTree, Step, Task } from "../../services/HistoryTree.js"
import { number, plural } from "../counts.js"
import { cut } from "../cut.js"
import { oneLine } from "../tree.js"

export interface DrawOptions {
  /** Columns, at least 20; default: 80. Longer lines are cut. */
  readonly width?: number | undefined
}

const usual = 80
const least = 20

/** A line, and what hangs on it. */
interface Item {
  readonly line: string
  /** Stands at its end, also where the line is cut. */
  readonly marks?: string
  readonly below: () => ReadonlyArray<Item>
}

/**
 * The tree as lines without their ends, each clean and no wider than it may be. An operation has the place of its first
 * entry before it; on it hang its tasks, each with its session where that was read, and what the head moved away from.
 */
export const draw = (tree: HistoryTree, { width = usual }: DrawOptions = {}): ReadonlyArray<string> => {
  const columns = Number.isNaN(width) ? usual : Math.max(least, Math.floor(width))
  const lines: Array<string> = []
  const root: Drawn = { item: ofTree(tree), lead: "", below: "" }
  // Branches may hang on branches deeper than calls can be nested.
  for (const waiting = [root]; waiting.length > 0;) {
    const { below, item, lead } = waiting.pop()!
    lines.push(fit(lead, item, columns))
    const items = item.below()
    for (const [i, it] of Array.from(items.entries()).toReversed()) {
      const isLast = i === items.length - 1
      waiting.push({ item: it, lead: below + (isLast ? "└─ " : "├─ "), below: below + (isLast ? "   " : "│  ") })
    }
  }
  return lines
}

const fit = (lead: string, { line, marks = "" }: Item, columns: number): string => {
  const room = columns - stringWidth(marks)
  // Where the marks leave nothing of the line they are cut too.
  return room < stringWidth(lead) + least / 2
    ? cut(lead + line + marks, columns).trimEnd()
    : cut(lead + line, room).trimEnd() + marks
}

interface Drawn {
  readonly item: Item
  readonly lead: string
  readonly below: string
}

const ofTree = (tree: HistoryTree): Item => {
  const { agent, entries, head, origin, session, trunk } = tree
  const from = origin === null ? [] : [`forked from ${oneLine(origin.session)} at ${origin.entry}`]
  const facts = [agent, plural(entries, "entry", "entries"), ...from]
  return {
    line: `${session}  ${facts.join(" · ")}`,
    marks: head === null && entries > 0 ? headMark : "",
    below: () => itemsOf(trunk, head)
  }
}

const headMark = "  ◀ head"

/** `head` where the branch leads to it. */
const itemsOf = ({ branches, steps }: Branch, head: number | null): ReadonlyArray<Item> => [
  ...branches.map(ofBranch),
  ...steps.map((step) => ofStep(step, head !== null && step.from <= head && head <= step.to ? head : null))
]

function ofBranch(branch: Branch): Item {
  return { line: `left behind after ${branch.from ?? "nothing"}`, below: () => itemsOf(branch, null) }
}

const icons = { running: "…", completed: "✔", failed: "✖", interrupted: "■" }

const ofStep = (step: Step, head: number | null): Item => {
  const { branches, calls, compactions, from, isRest, kind, labels, note, status, tasks, text } = step
  const names = labels.map(({ entry, label }) => `  ⚑ ${label}${entry === from ? "" : ` (${entry})`}`)
  const name = `${from} ${icons[status]} ${isRest ? "rest of " : ""}${kind}`
  const more = [...(note === "" ? [] : [note]), ...(calls > 0 ? [plural(calls, "call", "calls")] : [])]
  return {
    line: [name, text === "" ? "" : ` ${text}`, more.length === 0 ? "" : ` (${more.join(", ")})`].join(""),
    marks: names.join("") + (head === null ? "" : headMark),
    below: () => [
      ...tasks.map(ofTask),
      ...compactions.map(({ after, before, entry, trigger }) => ({
        line:
          after === undefined
            ? `${entry} not compacted (${trigger}), ${plural(before, "token", "tokens")}`
            : `${entry} compacted (${trigger}): ${number(before)} to ${plural(after, "token", "tokens")}`,
        below: nothing
      })),
      ...branches.map(ofBranch)
    ]
  }
}

const nothing = (): ReadonlyArray<Item> => []

const ofTask = ({ agent, child, description, entry, note, problem, session, status }: Task): Item => {
  const about = description === "" ? "" : `: ${description}`
  return {
    line: `${entry} ${icons[status]} task ${agent}${about}${note === "" ? "" : ` (${note})`}`,
    below: () => {
      if (session !== undefined) return [ofTree(session)]
      return [{ line: `${oneLine(child)}${problem === undefined ? "" : `  ${oneLine(problem)}`}`, below: nothing }]
    }
  }
}
