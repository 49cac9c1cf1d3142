/**
 * The inboxes of one process: what waits in them ends with it.
 */
import type * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { Inbox, type Input } from "../services/Inbox.js"

export const layer: Layer.Layer<Inbox> = Layer.sync(Inbox, () => makeInbox())

/** What `makeInbox` gives besides the service: its insides, for assertions. */
export interface InboxInsides {
  /** How many inputs wait, and how many sessions have a prompt that will look. */
  readonly size: () => { readonly waiting: number; readonly readers: number }
}

export const makeInbox = (): Context.Tag.Service<Inbox> & InboxInsides => {
  /** Only those that hold something. */
  const waiting = new Map<string, ReadonlyArray<Input>>()
  const readers = new Map<string, string>()

  const keep = (incarnation: string, inputs: ReadonlyArray<Input>) => {
    if (inputs.length === 0) waiting.delete(incarnation)
    else waiting.set(incarnation, inputs)
  }

  return {
    put: (incarnation, input) => {
      const inputs = waiting.get(incarnation) ?? []
      const known = input.id === undefined ? -1 : inputs.findIndex(({ id }) => id === input.id)
      keep(incarnation, known < 0 ? [...inputs, input] : inputs.with(known, input))
    },
    withdraw: (incarnation, input) => {
      const inputs = waiting.get(incarnation)
      if (inputs?.includes(input) !== true) return false
      keep(
        incarnation,
        inputs.filter((it) => it !== input)
      )
      return true
    },
    take: (incarnation, when) => {
      const inputs = waiting.get(incarnation)
      if (inputs === undefined) return none
      const taken = inputs.filter((it) => when === "all" || it.when === when)
      keep(
        incarnation,
        inputs.filter((it) => !taken.includes(it))
      )
      return taken
    },
    forget: (incarnation, id) =>
      keep(
        incarnation,
        (waiting.get(incarnation) ?? none).filter((it) => it.id !== id)
      ),
    has: (incarnation, id) => waiting.get(incarnation)?.some((it) => it.id === id) === true,
    waits: (incarnation) => waiting.has(incarnation),
    owes: (incarnation) => waiting.get(incarnation)?.some((it) => it.promised) === true,
    giveBack: (incarnation, inputs) => keep(incarnation, [...inputs, ...(waiting.get(incarnation) ?? [])]),
    open: (incarnation, operationId) => {
      readers.set(incarnation, operationId)
    },
    close: (incarnation) => {
      readers.delete(incarnation)
    },
    reader: (incarnation) => readers.get(incarnation),
    size: () => ({
      waiting: [...waiting.values()].reduce((sum, inputs) => sum + inputs.length, 0),
      readers: readers.size
    })
  }
}

const none: ReadonlyArray<Input> = []
