/**
 * The bounds that hold unless an agent or a call sets its own.
 */
import * as Context from "effect/Context"

export interface LimitValues {
  /** How many tasks of one lease run at a time; more wait at its gate. */
  readonly taskWidth: number
  /** How deep tasks may be nested. */
  readonly taskDepth: number
  /** How many tool calls of one turn run at a time. */
  readonly toolWidth: number
  /** How many calls of one turn run at all; the others get an error result. */
  readonly toolCalls: number
  /** How long a tool call may take before the model is told that it may still be running, in milliseconds. */
  readonly toolDeadline: number
  /** How long an interrupted handler may take to end before it is abandoned, in milliseconds. */
  readonly toolGrace: number
  /** How long a tool's result may be, in UTF-16 code units; longer ones are cut in the middle. */
  readonly toolResult: number
  /** How many model round-trips one operation may make. */
  readonly turns: number
  /** How many failures of the model in a row are tried again, for each model that is asked. */
  readonly retries: number
  /** How long to wait before the first of them, in milliseconds; doubled for each that follows, up to 30 s. */
  readonly retryDelay: number
  /** The longest wait that a provider may ask for, in milliseconds; a longer one fails at once. */
  readonly retryAfter: number
  /** How long a model may say nothing before the request is given up and tried again, in milliseconds. */
  readonly modelIdle: number
  /** How often a model is reminded of a structured result that it was asked for. */
  readonly reminders: number
  /** How often the same calls with the same results may follow each other before the model is told. */
  readonly repeats: number
  /** How many tokens an operation and its tasks may use, input and output together. */
  readonly tokens: number
  /** How much an operation and its tasks may cost, in the currency of the price table. */
  readonly cost: number
  /** How long an operation may take, in milliseconds. */
  readonly wallTime: number
}

/** What an agent or a call may set for itself. How wide and how deep tasks go is the engine's to say. */
export type OwnLimits = Omit<LimitValues, "taskWidth" | "taskDepth">

/** The limits of the engine; docs/index.md lists them. */
export class Limits extends Context.Reference<Limits>()("baton/Limits", {
  defaultValue: (): LimitValues => defaults
}) {}

export const defaults: LimitValues = {
  taskWidth: 8,
  taskDepth: 4,
  toolWidth: 8,
  toolCalls: 128,
  toolDeadline: 120_000,
  toolGrace: 5_000,
  toolResult: 50_000,
  turns: 64,
  retries: 3,
  retryDelay: 1_000,
  retryAfter: 60_000,
  modelIdle: 300_000,
  reminders: 32,
  repeats: 3,
  tokens: Number.POSITIVE_INFINITY,
  cost: Number.POSITIVE_INFINITY,
  wallTime: Number.POSITIVE_INFINITY
}

/** Limits that can be kept: what is not a number is the default, and what would let nothing happen is 1. */
export const sane = (values: LimitValues): LimitValues => {
  const at = (name: keyof LimitValues, least: number): number => {
    const value = values[name]
    return Number.isNaN(value) || typeof value !== "number" ? defaults[name] : Math.max(least, value)
  }
  return {
    taskWidth: at("taskWidth", 1),
    taskDepth: at("taskDepth", 0),
    toolWidth: at("toolWidth", 1),
    toolCalls: at("toolCalls", 0),
    toolDeadline: at("toolDeadline", 0),
    toolGrace: at("toolGrace", 0),
    toolResult: at("toolResult", 0),
    turns: at("turns", 1),
    retries: at("retries", 0),
    retryDelay: at("retryDelay", 0),
    retryAfter: at("retryAfter", 0),
    modelIdle: at("modelIdle", 0),
    reminders: at("reminders", 0),
    repeats: at("repeats", 2),
    tokens: at("tokens", 0),
    cost: at("cost", 0),
    wallTime: at("wallTime", 0)
  }
}
