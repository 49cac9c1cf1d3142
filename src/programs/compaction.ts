/**
 * Compaction within an operation: a summary takes the place of the older part of the conversation.
 */
import * as Effect from "effect/Effect"
import type { CompactionSettings } from "../services/Agent.js"
import type { Measured, Message } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { CompactionTrigger, Entry } from "../services/Entry.js"
import type { StoreError } from "../services/Errors.js"
import type { Call } from "../services/History.js"
import { brief, cleanText } from "../services/Json.js"
import type { AttemptError } from "./attempts.js"
import { cutOf, type Figures, figuresOf, keepOf, summaryOf, withoutSummary } from "./context.js"
import { imagesIn, imageTokens, messagesTokens, requestTokens } from "./estimate.js"
import type { Operation } from "./held.js"
import { summarise } from "./summary.js"
import { transcript } from "./material.js"
import type { Frame } from "./turn.js"

/** A compaction, or the attempt at one that came to nothing, as it is recorded. */
export type Recorded = Extract<Entry, { readonly _tag: "Compaction" | "CompactionStalled" }>

/** What a caller wants of a compaction. */
export interface Wanted {
  readonly model?: string | undefined
  readonly instructions?: string | undefined
}

/** The compactions of an operation. */
export class Compactor {
  /** An attempt failed: none is made any more because of the conversation's size, unless a provider refuses it. */
  private failed: boolean
  private figures: Figures | undefined
  private model: string | undefined
  private readonly settings: CompactionSettings | undefined

  constructor(
    private readonly running: Operation,
    private readonly frame: () => Frame,
    /** What the operation came to before its process ended. */
    before: Recorded | undefined
  ) {
    const { compaction } = running.ref.agent
    this.settings = compaction === "off" ? undefined : (compaction ?? {})
    this.failed = before?._tag === "CompactionStalled"
  }

  /**
   * Asked before each request: what has to be done first, if the conversation has come to its threshold. Gives whether it
   * was compacted; where that fails, the conversation goes on as it is.
   */
  due(): Effect.Effect<boolean, StoreError> | undefined {
    const { failed, running, settings } = this
    if (settings === undefined || failed) return undefined
    const { engine, journal } = running
    const figures = this.look()
    if (figures === undefined) return undefined
    const estimate = this.tokens()
    const { conversation } = journal
    const last = conversation.stalled?.tokensBefore ?? conversation.compacted?.tokensAfter ?? 0
    const isDue = (tokens: number) => tokens > figures.threshold && tokens - last >= figures.spacing
    const go = (tokens: number) => this.threshold(figures, tokens)
    if (engine.model.count === undefined) return isDue(estimate) ? go(estimate) : undefined
    // An estimate is hardly ever short of more than half.
    if (estimate * 2 <= figures.threshold) return undefined
    return Effect.flatMap(this.counted(), (tokens) => (isDue(tokens) ? go(tokens) : Effect.succeed(false)))
  }

  /** Gives whether the conversation that a provider refused was compacted. */
  overflow(): Effect.Effect<boolean, StoreError> {
    if (this.settings === undefined) return Effect.succeed(false)
    const figures = this.look()
    return Effect.flatMap(this.counted(), (counted) => {
      // It is as large as the window by what the provider says, whatever the estimate is.
      const tokens = Math.max(counted, figures?.window ?? 0)
      return this.automatic("overflow", figures, tokens, (all) => Math.min(figures?.keep ?? all, keepOf(all)))
    })
  }

  /** Compacts because somebody asks for it. */
  manual(wanted: Wanted): Effect.Effect<Recorded | undefined, AttemptError | StoreError> {
    const figures = this.look()
    return Effect.flatMap(this.counted(), (tokens) =>
      this.compact("manual", figures, tokens, (all) => figures?.keep ?? keepOf(all), wanted)
    )
  }

  /** The tokens of the next request: what was told of the last one, and an estimate of what came since. */
  tokens(): number {
    const measured = this.measured()
    if (measured === undefined) return this.estimate()
    return measured.tokens + messagesTokens(this.running.journal.conversation.messages(measured.messages))
  }

  /** What was told of the last request, unless that cannot be: what is larger than the window was not answered. */
  private measured(): Measured | undefined {
    const { measured } = this.running.journal.conversation
    const window = this.figures?.window ?? Number.POSITIVE_INFINITY
    return measured === undefined || measured.tokens > window ? undefined : measured
  }

  /** The figures of the model that is to be asked: what is known of it may come with its first reply. */
  private look(): Figures | undefined {
    const { engine, journal } = this.running
    const { model } = journal.call!
    if (this.figures === undefined || this.model !== model) {
      this.figures = figuresOf(engine.model.info?.(model))
      this.model = model
    }
    return this.figures
  }

  private estimate(messages = this.running.journal.conversation.messages()): number {
    const { instructions, tools } = this.frame()
    return requestTokens({ instructions, messages, tools })
  }

  /** The same, counted where the model has a tokenizer. */
  private counted(): Effect.Effect<number> {
    const { engine, journal } = this.running
    const { count } = engine.model
    if (count === undefined) return Effect.sync(() => this.tokens())
    const measured = this.measured()
    const messages = journal.conversation.messages(measured?.messages ?? 0)
    if (messages.length === 0) return Effect.sync(() => this.tokens())
    return Effect.map(count(journal.call!.model, messages), (counted) =>
      counted === undefined
        ? this.tokens()
        : (measured?.tokens ?? this.estimate([])) + counted + imageTokens * imagesOf(messages)
    )
  }

  private threshold(figures: Figures, tokens: number): Effect.Effect<boolean, StoreError> {
    return this.automatic("threshold", figures, tokens, () => figures.keep)
  }

  /** Compacts because it has to be. What the model fails with is told, and fails nothing. */
  private automatic(
    trigger: "threshold" | "overflow",
    figures: Figures | undefined,
    tokens: number,
    keep: Keep
  ): Effect.Effect<boolean, StoreError> {
    const { running } = this
    return Effect.matchEffect(this.compact(trigger, figures, tokens, keep, {}), {
      onFailure: (error) => {
        if (isOfStore(error)) return Effect.fail(error)
        this.failed = true
        const then = trigger === "threshold" ? " The conversation goes on as it is." : ""
        running.notice(`The earlier part of the conversation could not be summarised. ${error.message}${then}`)
        return Effect.succeed(false)
      },
      onSuccess: (recorded) => {
        if (recorded?._tag === "CompactionStalled") this.failed = true
        return Effect.succeed(recorded?._tag === "Compaction")
      }
    })
  }

  /**
   * One compaction: `undefined` where there is nothing to summarise, what was recorded otherwise. The switch is one write:
   * interrupted before it, or where the model fails, the conversation is as it was.
   */
  private compact(
    trigger: CompactionTrigger,
    figures: Figures | undefined,
    tokens: number,
    keep: Keep,
    wanted: Wanted
  ): Effect.Effect<Recorded | undefined, AttemptError | StoreError> {
    const { running } = this
    const { conversation } = running.journal
    const messages = conversation.messages()
    const before = this.estimate(messages)
    const ratio = Math.min(maxScale, tokens / before)
    const scale = Math.max(1, ratio)
    const all = messagesTokens(messages) * scale
    const cut = cutOf(conversation, keep(all), (figures?.threshold ?? all) / 2, scale)
    if (cut === undefined) return Effect.succeed(undefined)
    const call = this.summariser(wanted)
    const older = withoutSummary(conversation, messages.slice(0, cut.at))
    const own = this.settings ?? {}
    const texts = transcript(older, conversation.request)
    if (texts.reduce((sum, text) => sum + text.length, 0) < leastWorth) return Effect.succeed(undefined)
    const info = running.engine.model.info?.(call.model)
    const material = {
      earlier: conversation.compacted?.summary,
      transcript: texts,
      hints: [own.instructions ?? "", wanted.instructions ?? ""],
      most: Math.min(figures?.summary ?? summaryOf(undefined), info?.maxOutput ?? Number.POSITIVE_INFINITY),
      scale
    }
    const files = filesOf(older, conversation.compacted?.files)
    running.startCompaction(trigger, tokens, call.model)
    const stalled = (reason: string, model: string) =>
      Draft.compactionStalled({ reason, trigger, tokensBefore: tokens, model, usage: running.summaryUsage })
    return Effect.matchEffect(
      Effect.suspend(() => summarise(running, call, material)),
      {
        onFailure: (error) => {
          running.endCompaction({ tag: error._tag, message: brief(error.message) })
          return Effect.fail(error)
        },
        onSuccess: (it) => {
          const { model } = it
          if (it._tag === "Useless") return this.record(stalled(it.reason, model))
          const { firstKept } = cut
          const after = conversation.preview({ summary: it.text, firstKept, files })
          if (messagesTokens(after) >= messagesTokens(messages)) {
            return this.record(stalled("the summary does not make it smaller", model))
          }
          const compaction = Draft.compaction({
            summary: it.text,
            firstKept,
            trigger,
            tokensBefore: tokens,
            tokensAfter: Math.ceil(this.estimate(after) * ratio),
            files,
            model,
            usage: running.summaryUsage
          })
          return this.record(compaction)
        }
      }
    )
  }

  private record(draft: Recorded): Effect.Effect<Recorded, StoreError> {
    const { running } = this
    return Effect.map(running.append([draft]), () => {
      running.endCompaction()
      const { compacted, stalled } = running.journal.conversation
      return draft._tag === "Compaction" ? compacted! : stalled!
    })
  }

  /** Who is asked for a summary: where another model is to write it, the one that answers is fallen back to. */
  private summariser(wanted: Wanted): Call {
    const call = this.running.journal.call!
    const { model: own, thinking } = this.settings ?? {}
    const model = wanted.model ?? own ?? call.model
    const others = model === call.model ? call.fallbacks : [call.model, ...call.fallbacks]
    return { ...call, model, thinking, fallbacks: others.filter((it) => it !== model) }
  }
}

/** How many tokens of the newest messages stay, of so many that all messages have. */
type Keep = (all: number) => number

/** A transcript that is shorter, in UTF-16 code units, is about as long as the headings of its summary. */
const leastWorth = 500

/** By how much an estimate may be short, by what a provider told: what was told may be wrong itself. */
const maxScale = 4

const isOfStore = (error: AttemptError | StoreError): error is StoreError =>
  error._tag === "StaleLease" || error._tag === "SessionStoreError" || error._tag === "CorruptRecord"

const imagesOf = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, message) => sum + imagesIn(message), 0)

type Files = Extract<Recorded, { readonly _tag: "Compaction" }>["files"]

/** The most paths of a list that are carried along, and the longest, in UTF-16 code units. */
const maxFiles = 50
const maxPath = 300

/** The files that the sandbox's tools have read and changed, with those of the summary before, newest last. */
const filesOf = (messages: ReadonlyArray<Message>, before: Files | undefined): Files => {
  const read = new Set(before?.read)
  const changed = new Set(before?.changed)
  const failed = new Set<string>()
  for (const message of messages) {
    if (message.role !== "tool") continue
    for (const { callId, isError } of message.results) if (isError) failed.add(callId)
  }
  for (const message of messages) {
    if (message.role !== "assistant") continue
    for (const part of message.content) {
      if (part.type !== "tool-call" || failed.has(part.id)) continue
      const list = part.name === "read" ? read : part.name === "write" || part.name === "edit" ? changed : undefined
      const path = pathOf(part.args)
      if (list === undefined || path === undefined) continue
      list.delete(path)
      list.add(path)
    }
  }
  return { read: [...read].slice(-maxFiles), changed: [...changed].slice(-maxFiles) }
}

const pathOf = (args: unknown): string | undefined => {
  if (typeof args !== "object" || args === null || !("path" in args)) return undefined
  const { path } = args
  return typeof path === "string" && path !== "" && path.length <= maxPath && !/\p{Cc}/u.test(path)
    ? cleanText(path)
    : undefined
}
