/**
 * Which events begin something and which end it, as a table; and whether a run of events keeps to it.
 */
import type { Event } from "../Event.js"

type Tag = Event["_tag"]
type Of<T extends Tag> = Extract<Event, { readonly _tag: T }>

/** A start and its ends. */
export interface Pair<S extends Tag = Tag, E extends Tag = Tag> {
  readonly start: S
  /** Exactly one of these follows a start. */
  readonly ends: ReadonlyArray<E>
  /** What a start and its end have in common and no other has while it is open. */
  readonly key: (event: Of<S> | Of<E>) => string
  /** Whether a start is part of what ends here, and so has to have ended. Default: nothing is. */
  readonly holds?: ((end: Of<E>, start: Event) => boolean) | undefined
  /** An end may come without a start: a tool call that was refused only settles. */
  readonly alone?: boolean | undefined
}

const pair = <S extends Tag, E extends Tag>(it: Pair<S, E>): Pair => it as unknown as Pair

/** The pairs of every engine. */
export const pairs: ReadonlyArray<Pair> = [
  pair({
    start: "OperationStarted",
    ends: ["OperationCompleted", "OperationFailed", "OperationInterrupted"],
    key: (event) => event.operationId,
    holds: (end, start) =>
      start.session === end.session && "operationId" in start && start.operationId === end.operationId
  }),
  pair({
    start: "TurnStarted",
    ends: ["TurnCompleted", "TurnFailed"],
    key: (event) => `${event.operationId} ${event.turn}`,
    holds: (end, start) =>
      (start._tag === "ToolStarted" || start._tag === "CompactionStarted") &&
      start.session === end.session &&
      start.operationId === end.operationId
  }),
  pair({
    start: "CompactionStarted",
    ends: ["CompactionCompleted", "CompactionFailed"],
    key: (event) => event.operationId
  }),
  pair({
    start: "ToolStarted",
    ends: ["ToolSettled"],
    key: (event) => `${event.operationId} ${event.callId}`,
    alone: true
  }),
  pair({
    start: "TaskStarted",
    ends: ["TaskCompleted", "TaskFailed"],
    key: (event) => event.taskId,
    holds: (end, start) => start.session === end.child
  })
]

/**
 * What is wrong with the starts and ends of a run of events, in sentences: every start has exactly one end, before the
 * end of what it is part of. Empty where they match. The events are those of whole operations, in order.
 */
export const unpaired = (events: Iterable<Event>, table: ReadonlyArray<Pair> = pairs): ReadonlyArray<string> => {
  const found: Array<string> = []
  const starts = new Map<Tag, Pair>()
  const ends = new Map<Tag, Pair>()
  for (const it of table) {
    starts.set(it.start, it)
    for (const end of it.ends) ends.set(end, it)
  }
  const open = new Map<string, Event>()
  const closed = new Set<string>()
  for (const event of events) {
    const begins = starts.get(event._tag)
    if (begins !== undefined) {
      const key = `${begins.start} ${event.session} ${begins.key(event)}`
      if (open.has(key)) found.push(`a second ${event._tag} (${key}) before the end of the first`)
      open.set(key, event)
      closed.delete(key)
    }
    const finishes = ends.get(event._tag)
    if (finishes !== undefined) {
      const key = `${finishes.start} ${event.session} ${finishes.key(event)}`
      if (open.delete(key)) closed.add(key)
      else if (closed.has(key)) found.push(`a second end, ${event._tag} (${key})`)
      else if (finishes.alone === true) closed.add(key)
      else found.push(`${event._tag} (${key}) without its start`)
      for (const [inner, start] of open) {
        if (finishes.holds?.(event, start) === true) found.push(`${event._tag} (${key}) before the end of ${inner}`)
      }
    }
  }
  for (const [key, start] of open) found.push(`${start._tag} (${key}) has no end`)
  return found
}
