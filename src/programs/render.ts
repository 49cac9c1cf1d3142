/**
 * Drawing what runs: a tree of lines that is repainted on a terminal, appended lines elsewhere, or JSON.
 */
import * as Terminal from "@effect/platform/Terminal"
import type { PlatformError } from "@effect/platform/Error"
import ansiEscapes from "ansi-escapes"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Queue from "effect/Queue"
import { createLogUpdate } from "log-update"
import picocolors from "picocolors"
import stringWidth from "string-width"
import wrapAnsi from "wrap-ansi"
import type { Event } from "../services/Event.js"
import * as Usage from "../services/Usage.js"
import { number, plural } from "./counts.js"
import { cut } from "./cut.js"
import { above, clean, empty, type Node, node, type Status, step, type Tree } from "./tree.js"

export type Format = "live" | "plain" | "json"

/** How lines are made. */
export interface View {
  /** Columns of the terminal. */
  readonly width: number
  readonly colours: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

// ------------------------------------------------------------------------------------------------ lines

/** The tree as lines, none wider than the terminal. */
export const treeLines = (tree: Tree, view: View): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const visit = (id: string, before: string, branch: string): void => {
    const at = node(tree, id)
    if (at === undefined) return
    const below = before + (branch === "├─" ? "│ " : branch === "└─" ? "  " : "")
    lines.push(row(at, before + branch, view))
    for (const [index, child] of at.children.entries()) {
      visit(child, below, index === at.children.length - 1 ? "└─" : "├─")
    }
  }
  for (const root of tree.roots) visit(root, "", "")
  return lines
}

/** What is drawn while it runs: the tree and the end of the text that streams, in no more rows than there are. */
export const liveLines = (tree: Tree, view: View, rows: number, stopping: boolean): ReadonlyArray<string> => {
  const paint = picocolors.createColors(view.colours)
  const streaming = tree.roots.map((root) => node(tree, root)?.text ?? "").join("")
  const text = textLines(streaming, view.width).slice(-maxStreamed).map(paint.dim)
  const notice = stopping ? [cut(paint.yellow("Interrupting…"), view.width)] : []
  const below = [...(text.length > 0 ? ["", ...text] : []), ...notice]
  const room = Math.max(1, rows - 1 - below.length)
  const lines = treeLines(tree, view)
  const left = lines.length - room
  const shown = left <= 0 ? lines : [cut(paint.dim(`… ${left + 1} lines above`), view.width), ...lines.slice(left + 1)]
  return [...shown, ...below]
}

/** How many lines of a streaming text are drawn. */
const maxStreamed = 8

/** A text in lines, none wider than the terminal and, for the eye's sake, than 100 columns; unless it is endless. */
export const textLines = (text: string, width: number): ReadonlyArray<string> => {
  const wanted = clean(text).trimEnd()
  if (wanted === "") return []
  if (width === Number.POSITIVE_INFINITY) return wanted.split("\n")
  const most = Math.max(2, Math.min(width, maxWidth))
  return wanted.split("\n").flatMap((line) => {
    if (stringWidth(line) <= most) return [line]
    // A wrapped line goes on under its own beginning.
    const [indent = ""] = /^[ ]*(?:[-*] )?/.exec(line) ?? []
    if (indent.length > most / 2) return wrapAnsi(line, most, { hard: true, trim: false }).split("\n")
    const [first = "", ...rest] = wrapAnsi(line.slice(indent.length), most - indent.length, { hard: true }).split("\n")
    return [indent + first, ...rest.map((it) => " ".repeat(indent.length) + it)]
  })
}

/**
 * What the last event adds to an append-only drawing: a line for each start and each end. What belongs to a task has
 * its number in front, since tasks run at the same time.
 */
export const plainLines = (tree: Tree): ReadonlyArray<string> =>
  tree.changes.flatMap(({ _tag, id }) => {
    const at = node(tree, id)
    if (at === undefined) return []
    const path = above(tree, id)
    const own = at.task ?? path.find(({ task }) => task !== undefined)?.task
    const lead = "  ".repeat(path.length) + (own === undefined ? "" : `[${own}] `)
    const name = nameOf(at, asIs)
    if (_tag === "Said") return [lead + name]
    if (_tag === "Started") return [`${lead}▸ ${cut(name, maxWidth)}`]
    const end = `${cut(noteOf(at), maxWidth)}  ${measure(at, at.endedAt ?? at.startedAt)}`
    return [`${lead}${icon(at.status, 0, asIs)} ${cut(name, maxWidth)}${end}`]
  })

/** An event, or whatever else is told, as one line of JSON. What a terminal could take for a command is escaped. */
export const jsonLine = (event: object): string =>
  JSON.stringify(event).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** How it went, in a line: time, calls, tokens. */
export const summary = (tree: Tree, options: { readonly estimated: boolean }): string => {
  const roots = tree.roots.flatMap((root) => node(tree, root) ?? [])
  const times = roots.map((root) => (root.endedAt ?? root.startedAt) - root.startedAt)
  const usage = roots.reduce((sum, root) => Usage.add(sum, root.usage ?? Usage.zero), Usage.zero)
  const { calls, tasks, turns } = tree.counts
  const parts = [
    duration(times.reduce((sum, time) => sum + time, 0)),
    plural(turns, "turn"),
    ...(tasks > 0 ? [plural(tasks, "task")] : []),
    ...(calls > tasks ? [plural(calls - tasks, "tool call")] : []),
    `${number(usage.input)} tokens in, ${number(usage.output)} out${options.estimated ? " (estimated)" : ""}`,
    ...(usage.cacheRead > 0 ? [`${number(usage.cacheRead)} of them from the cache`] : []),
    ...(usage.cost === undefined ? [] : [`cost ${usage.cost.toFixed(4)}`])
  ]
  return parts.join(" · ")
}

/** The widest that lines are drawn. */
const maxWidth = 100

/** What turns while something runs, a picture every tenth of a second. */
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

type Paint = Pick<ReturnType<typeof picocolors.createColors>, "bold" | "cyan" | "dim" | "green" | "red" | "yellow">

const asIs: Paint = picocolors.createColors(false)

const icon = (status: Status, now: number, paint: Paint): string => {
  switch (status) {
    case "running":
      return paint.cyan(frames[Math.floor(now / 100) % frames.length]!)
    case "completed":
      return paint.green("✔")
    case "failed":
      return paint.red("✖")
    case "interrupted":
      return paint.yellow("■")
  }
}

const nameOf = (at: Node, paint: Paint): string => {
  if (at.kind === "say") return paint.dim(`“${at.label}”`)
  return at.label === "" ? paint.bold(at.kind) : `${paint.bold(at.kind)} ${at.label}`
}

const noteOf = (at: Node): string => (at.note === "" ? "" : ` (${at.note})`)

/** Tokens, where they are known, and time. */
const measure = (at: Node, now: number): string => {
  const tokens = at.usage === undefined ? "" : `${plural(Usage.tokens(at.usage), "token")}  `
  return tokens + duration((at.endedAt ?? now) - at.startedAt)
}

const row = (at: Node, lead: string, view: View): string => {
  const paint = picocolors.createColors(view.colours)
  const width = Math.min(view.width, maxWidth)
  const branch = paint.dim(lead)
  if (at.kind === "say") return cut(`${branch} ${nameOf(at, paint)}`, width)
  const name = `${branch}${icon(at.status, view.now, paint)} ${nameOf(at, paint)}${at.note === "" ? "" : paint.dim(noteOf(at))}`
  const right = measure(at, view.now)
  const room = width - stringWidth(right) - 2
  if (room < 12) return cut(name, width)
  const left = cut(name, room)
  return `${left}${" ".repeat(Math.max(0, room - stringWidth(left)))}  ${paint.dim(right)}`
}

const duration = (time: number): string => {
  const ms = Math.max(0, Math.round(time))
  if (ms < 1000) return `${ms} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${String(Math.floor((ms % 60_000) / 1000)).padStart(2, "0")} s`
}

// ------------------------------------------------------------------------------------------------ drawing

/** How often a terminal is repainted and events are written, in milliseconds. */
const pause = 100

/** What came of an effect, and the tree as it was at its end. */
export interface Drawn<A, E> {
  readonly tree: Tree
  /** Where the output was closed: that. */
  readonly exit: Exit.Exit<A, E | PlatformError>
}

/**
 * Runs an effect while drawing what happens. All events that come before its end are drawn. Interruption interrupts
 * the effect, waits for its end, draws that, and then passes on. Where the output is closed the effect is interrupted.
 * What is drawn stands below `past`: events of another process, which are not told again.
 */
export const drawing = <A, E, R>(
  queue: Queue.Dequeue<Event>,
  format: Format,
  colours: boolean,
  effect: Effect.Effect<A, E, R>,
  past: Iterable<Event> = []
): Effect.Effect<Drawn<A, E>, never, R | Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const ended = yield* Deferred.make<void>()
    const canvas = new Canvas()
    let tree = empty
    for (const event of past) tree = step(tree, event)
    let stopping = false

    const view = Effect.gen(function* () {
      const width = Math.max(minWidth, (yield* terminal.columns) || 80)
      return { width, colours, now: yield* Clock.currentTimeMillis }
    })

    const draw = Effect.gen(function* () {
      const lines: Array<string> = []
      for (const event of yield* queue.takeUpTo(Number.MAX_SAFE_INTEGER)) {
        tree = step(tree, event)
        if (format === "plain") lines.push(...plainLines(tree))
        if (format === "json") lines.push(jsonLine(event))
      }
      if (format === "live") {
        const now = yield* view
        const rows = (yield* terminal.rows) || 24
        const update = canvas.paint(liveLines(tree, now, rows, stopping), now.width, rows)
        if (update !== "") yield* terminal.display(update)
      } else if (lines.length > 0) yield* terminal.display(lines.map((line) => `${line}\n`).join(""))
    })

    /** In place of what was painted, what stays. */
    const settle = Effect.gen(function* () {
      yield* draw
      const last = treeLines(tree, yield* view).map((line) => `${line}\n`)
      yield* terminal.display(canvas.clear() + last.join("") + ansiEscapes.cursorShow)
    })

    const loop = draw.pipe(
      Effect.zipRight(Effect.timeoutOption(Deferred.await(ended), pause)),
      Effect.repeat({ until: (it) => it._tag === "Some" })
    )

    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const running = yield* Effect.fork(restore(effect))
        if (format === "live") yield* Effect.ignore(terminal.display(ansiEscapes.cursorHide))
        const drawer = yield* loop.pipe(
          Effect.tapError(() => Fiber.interrupt(running)),
          Effect.interruptible,
          Effect.fork
        )
        const waited = yield* Effect.exit(restore(Fiber.await(running)))
        stopping = Exit.isFailure(waited)
        const exit = Exit.isFailure(waited) ? yield* Fiber.interrupt(running) : waited.value
        yield* Deferred.succeed(ended, undefined)
        const drawn = yield* Fiber.await(drawer)
        // The last events came with the end.
        stopping = false
        yield* Effect.ignore(format === "live" ? settle : draw)
        if (Exit.isFailure(drawn)) return { tree, exit: Exit.failCause(drawn.cause) }
        return { tree, exit }
      })
    )
  })

/** Narrower than this a tree cannot be drawn. */
const minWidth = 20

/** What `log-update` would write, for a terminal that is a service. */
class Canvas {
  private written = ""
  private readonly stream = {
    isTTY: true,
    columns: 80,
    rows: 24,
    write: (text: string) => {
      this.written += text
      return true
    }
  }
  private readonly log = createLogUpdate(this.stream as unknown as NodeJS.WritableStream, { showCursor: true })

  paint(lines: ReadonlyArray<string>, columns: number, rows: number): string {
    this.stream.columns = columns
    this.stream.rows = rows
    this.log(lines.join("\n"))
    return this.flush()
  }

  clear(): string {
    this.log.clear()
    return this.flush()
  }

  private flush(): string {
    const text = this.written
    this.written = ""
    return text
  }
}
