/**
 * A tracer that keeps what it is told.
 */
import { Cause, Exit, Option, Tracer } from "effect"

export interface Span {
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly parent: string | undefined
  readonly attributes: Record<string, unknown>
  readonly events: Array<unknown>
  /** `undefined` while it runs. */
  exit: Exit.Exit<unknown, unknown> | undefined
}

/** The spans in the order of their starts, and of their ends. */
export const recording = () => {
  const started: Array<Span> = []
  const ended: Array<Span> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const above = Option.getOrUndefined(parent)
      const attributes = new Map<string, unknown>()
      const span: Span = {
        name,
        kind,
        parent: above?._tag === "Span" ? above.name : undefined,
        attributes: {},
        events: [],
        exit: undefined
      }
      started.push(span)
      return {
        _tag: "Span",
        spanId: String(started.length),
        traceId: "trace",
        sampled: true,
        name,
        kind,
        parent,
        context,
        links,
        status: { _tag: "Started", startTime },
        attributes,
        attribute: (key, value) => {
          attributes.set(key, value)
          span.attributes[key] = value
        },
        event: (name, _, more) => void span.events.push([name, more]),
        addLinks: () => {},
        end: (_, exit) => {
          span.exit = exit
          ended.push(span)
        }
      }
    },
    context: (run) => run()
  })
  return { started, ended, tracer }
}

/** All that a span says, failures as they are printed. */
export const wordsOf = ({ attributes, events, exit, name }: Span): ReadonlyArray<unknown> => [
  name,
  ...Object.entries(attributes),
  ...events,
  ...(exit !== undefined && Exit.isFailure(exit) ? [Cause.pretty(exit.cause)] : [])
]
