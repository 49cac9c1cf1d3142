/**
 * The page of a session.
 */
import type { AssistantPart, Entry, UserPart } from "../../services/Entry.js"
import type { NewSession } from "../../services/SessionStore.js"
import type { TranscriptOptions } from "../../services/Transcript.js"
import * as Usage from "../../services/Usage.js"
import { number, plural } from "../counts.js"
import { block, code, quote, quoted } from "./markdown.js"

type Of<Tag extends Entry["_tag"]> = Extract<Entry, { readonly _tag: Tag }>

/** A session, its entries, and the sessions of its tasks. */
export interface Told {
  readonly session: Pick<NewSession, "id" | "agent" | "cwd" | "createdAt" | "origin">
  readonly entries: ReadonlyArray<Entry>
  readonly children: ReadonlyArray<Told>
}

const usualResult = 2_000

/** No page has headings below these. */
const deepest = 6

/** The page, with its end of line. The same history is the same page. */
export const render = (told: Told, options: TranscriptOptions = {}): string =>
  `${pageOf(told, options, 1).join("\n")}\n`

type Lines = ReadonlyArray<string>

const pageOf = (told: Told, options: TranscriptOptions, level: number): Lines => {
  const { children, entries, session } = told
  const path = pathOf(entries)
  // The sessions of tasks that the head moved away from are left out with them.
  const begun = new Set(path.flatMap((entry) => (entry._tag === "TaskLink" ? [entry.child] : [])))
  const isTold = (options.tasks ?? "sections") === "sections"
  const sections = isTold ? children.filter((child) => begun.has(child.session.id)) : []
  return paragraphs([
    [heading(level, `Session ${code(session.id)}`)],
    factsOf(told, entries.length - path.length),
    ...new Page(told, options, level).blocks(path),
    ...sections.map((child) => pageOf(child, options, Math.min(level + 1, deepest)))
  ])
}

const heading = (level: number, text: string): string => `${"#".repeat(Math.min(level, deepest))} ${text}`

/** Blocks with a line between them. */
const paragraphs = (blocks: ReadonlyArray<Lines>): Lines =>
  blocks.filter((it) => it.length > 0).flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]))

/** The entries that lead to the last one. */
const pathOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const path: Array<Entry> = []
  for (let at = entries.at(-1); at !== undefined;) {
    path.push(at)
    at = at.parentId === null ? undefined : entries[at.parentId - 1]
  }
  return path.toReversed()
}

const factsOf = ({ entries, session }: Told, left: number): Lines => {
  const { agent, createdAt, cwd, origin } = session
  const models = new Set(entries.flatMap((entry) => (entry._tag === "Assistant" ? [entry.model] : [])))
  const usage = usageOf(entries)
  const last = entries.at(-1)?.at
  return [
    `- Agent: ${code(agent)}`,
    `- Folder: ${code(cwd)}`,
    `- Created: ${timeOf(createdAt)}`,
    ...(last === undefined ? [] : [`- Last entry: ${timeOf(last)}`]),
    ...(origin === null ? [] : [`- Forked from: ${code(origin.session)}, entry ${origin.entry}`]),
    ...(models.size === 0 ? [] : [`- Models: ${[...models].map(code).join(", ")}`]),
    `- Usage: ${usageLine(usage)}`,
    ...(usage.cost === undefined ? [] : [`- Cost: ${usage.cost.toFixed(4)}`]),
    ...(left === 0 ? [] : [`- Not shown: ${plural(left, "entry", "entries")} on other branches`])
  ]
}

/** What the operations used; of one that has no end, what its replies did. */
const usageOf = (entries: ReadonlyArray<Entry>): Usage.Usage => {
  let total = Usage.zero
  let open = Usage.zero
  for (const entry of entries) {
    if (entry._tag === "Assistant") open = Usage.add(open, entry.usage)
    else if (entry._tag === "OperationSettled") {
      total = Usage.add(total, entry.usage.total)
      open = Usage.zero
    }
  }
  return Usage.add(total, open)
}

const usageLine = ({ input, output }: Usage.Usage): string => `${number(input)} tokens in, ${number(output)} out`

const clock = new Intl.DateTimeFormat("en-US", {
  timeZone: "UTC",
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit"
})

/** Only years of four digits: others are nobody's. */
const timeOf = (at: number): string => {
  if (!(at > -3e13 && at < 2.5e14)) return "at no time"
  const parts = new Map(clock.formatToParts(at).map(({ type, value }) => [type, value]))
  const of = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? ""
  return `${of("year")}-${of("month")}-${of("day")} ${of("hour")}:${of("minute")}:${of("second")} UTC`
}

/** A session's conversation as blocks. */
class Page {
  private readonly results = new Map<string, Of<"ToolSettled">>()
  private readonly started = new Set<string>()
  private readonly taskEnds = new Map<string, Of<"TaskSettled">>()
  private readonly names = new Map<number, Array<string>>()
  private count = 0

  constructor(
    private readonly told: Told,
    private readonly options: TranscriptOptions,
    private readonly level: number
  ) {
    const named = new Map<string, number>()
    for (const entry of told.entries) {
      if (entry._tag === "ToolStarted") this.started.add(entry.callId)
      else if (entry._tag === "ToolSettled") this.results.set(entry.callId, entry)
      else if (entry._tag === "TaskSettled") this.taskEnds.set(entry.child, entry)
      else if (entry._tag === "Label") {
        if (entry.entry === null) named.delete(entry.label)
        else named.set(entry.label, entry.entry)
      }
    }
    for (const [label, entry] of named) this.names.set(entry, [...(this.names.get(entry) ?? []), label])
  }

  blocks(path: ReadonlyArray<Entry>): ReadonlyArray<Lines> {
    return path.flatMap((entry) => {
      const names = this.names.get(entry.id) ?? []
      return [
        ...this.blocksOf(entry),
        ...(names.length === 0 ? [] : [[`*Entry ${entry.id} is named* ${names.map(code).join(", ")}`]])
      ]
    })
  }

  private blocksOf(entry: Entry): ReadonlyArray<Lines> {
    switch (entry._tag) {
      case "OperationStarted": {
        this.count++
        const skill = entry.request?.skill
        const what = `${this.count}. ${titles[entry.kind]}${skill === undefined ? "" : ` ${code(skill)}`}`
        return [[heading(this.level + 1, what)], [`*${timeOf(entry.at)}, entry ${entry.id}*`]]
      }
      case "OperationResumed":
        return [[`*It was cut off, and went on: attempt ${entry.attempt}, ${timeOf(entry.at)}*`]]
      case "OperationSettled":
        return endOf(entry)
      case "User":
        return this.userBlocks(entry.content)
      case "Assistant":
        return [
          ...entry.content.flatMap((part) => this.replyBlocks(part, entry)),
          ...(finishes[entry.finish] === undefined ? [] : [[`*${finishes[entry.finish]}*`]])
        ]
      case "TaskLink":
        return this.taskBlocks(entry)
      case "WorkspaceRead": {
        const { files, skills, skipped } = entry
        const parts = [plural(files.length, "file", "files"), plural(skills.length, "skill", "skills")]
        if (skipped.length > 0) parts.push(`${number(skipped.length)} not used`)
        return [[`*The workspace was read: ${parts.join(", ")}*`]]
      }
      case "Compaction": {
        const { model, summary, tokensAfter, tokensBefore, trigger } = entry
        const figures = `about ${number(tokensBefore)} tokens became ${number(tokensAfter)}`
        return [
          [
            `*What stands above was summarised (${trigger}) by* ${code(model)}*: ${figures}. From here on this stands for it:*`
          ],
          quote(summary)
        ]
      }
      case "CompactionStalled":
        return [[`*What stands above was not summarised (${entry.trigger}):* ${code(entry.reason)}`]]
      // They are told with what they belong to.
      case "ToolStarted":
      case "ToolSettled":
      case "TaskSettled":
      case "HeadMoved":
      case "Label":
        return []
    }
  }

  private userBlocks(content: ReadonlyArray<UserPart>): ReadonlyArray<Lines> {
    return content.flatMap((part): ReadonlyArray<Lines> => {
      if (part.type === "image") return [["**User**"], [imageMark(part)]]
      return [[part.note === true ? "**Baton**" : "**User**"], quote(part.text)]
    })
  }

  private replyBlocks(part: AssistantPart, { model }: Of<"Assistant">): ReadonlyArray<Lines> {
    switch (part.type) {
      case "text":
        return part.text.trim() === "" ? [] : [[`**Assistant** (${code(model)})`], quote(part.text)]
      case "reasoning":
        return part.text.trim() === "" ? [] : [[`**Assistant, thinking** (${code(model)})`], quote(part.text)]
      case "tool-call":
        return this.callBlocks(part)
    }
  }

  private callBlocks({
    args,
    id,
    name,
    raw
  }: Extract<AssistantPart, { readonly type: "tool-call" }>): ReadonlyArray<Lines> {
    const result = this.results.get(id)
    const how =
      result === undefined ? (this.started.has(id) ? "no end is recorded" : "not run") : outcomes[result.outcome]
    const again = result?.replayed === undefined ? "" : `, repeated from entry ${result.replayed}`
    const text = raw ?? JSON.stringify(args ?? null, undefined, 2)
    return [
      [`**Tool** ${code(name)}: ${how}${again}`],
      this.cut(text, raw === undefined ? "json" : "text"),
      ...(result === undefined || result.result === "" ? [] : [this.cut(result.result, "text", result.cutFrom)])
    ]
  }

  /** A block of as much of a text as is told, in characters that a reader would call so. */
  private cut(text: string, kind: string, length = text.length): Lines {
    const { maxResult = usualResult } = this.options
    const most = Number.isNaN(maxResult) ? usualResult : Math.max(0, Math.floor(maxResult))
    if (text.length <= most) return block(text, kind)
    const kept = text
      .slice(0, most)
      .toWellFormed()
      .replace(/\ufffd$/, "")
    return [
      ...block(kept, kind),
      "",
      `*${plural(Math.max(length, text.length) - kept.length, "more character", "more characters")}*`
    ]
  }

  private taskBlocks({ agent, child, description }: Of<"TaskLink">): ReadonlyArray<Lines> {
    const end = this.taskEnds.get(child)
    const how = end === undefined ? "no end is recorded" : end.outcome
    const error = end?.error === undefined ? "" : `: ${code(`${end.error.tag}: ${end.error.message}`)}`
    const about = description === "" ? "" : ` ${code(description)}`
    const line = `**Task** of ${code(agent)}${about}, in ${code(child)}: ${how}${error}`
    const nested =
      this.options.tasks === "nested" ? this.told.children.find(({ session }) => session.id === child) : undefined
    if (nested === undefined) return [[line]]
    return [[line], pageOf(nested, this.options, Math.min(this.level + 2, deepest)).map(quoted)]
  }
}

const titles = { prompt: "Prompt", task: "Task", skill: "Skill", shell: "Command", compact: "Compaction" }

const outcomes = {
  success: "done",
  failure: "failed",
  deadline: "took longer than its deadline",
  interrupted: "interrupted",
  unknown: "its end was not recorded",
  "not-run": "not run"
}

const finishes: Readonly<Record<string, string | undefined>> = {
  length: "The reply was cut at its greatest length.",
  "content-filter": "The reply was ended by the provider's filter.",
  interrupted: "The reply was interrupted."
}

const endOf = ({ by, error, outcome }: Of<"OperationSettled">): ReadonlyArray<Lines> => {
  if (outcome === "completed") return []
  if (outcome === "failed") {
    return [[error === undefined ? "*It failed.*" : `*It failed:* ${code(`${error.tag}: ${error.message}`)}`]]
  }
  if (typeof by === "object") return [[`*It was interrupted by a ${by.kind} that took its place.*`]]
  return [[by === undefined ? "*It was interrupted.*" : `*It was interrupted${interrupters[by]}.*`]]
}

const interrupters = {
  caller: " by its caller",
  shutdown: " by the end of its process",
  fork: " here: it went on where it was forked from",
  import: " here: it ran when it was exported"
}

/** An image by its kind and size; base64 is four characters for three bytes. */
const imageMark = ({ data, mediaType }: Extract<UserPart, { readonly type: "image" }>): string =>
  `*Image:* ${code(mediaType)}, ${number(Math.floor((data.length * 3) / 4))} bytes`
