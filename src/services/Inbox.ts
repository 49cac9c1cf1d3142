/**
 * Inputs that are to join the prompt that runs in their session.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { UserPart } from "./Entry.js"

/** When an input is delivered: at the next boundary of turns, or when the model would stop. */
export type When = "steer" | "followUp"

/** An input that waits. */
export interface Input {
  readonly content: ReadonlyArray<UserPart>
  readonly when: When
  /** Its id in the store's inbox, where it lies there too. */
  id: string | undefined
  /** Waits until it lies there, while it is being put there: whoever takes it out here waits for that. */
  storing: Effect.Effect<void> | undefined
  /** How its caller named it. */
  readonly asked: { readonly operationId: string; readonly key: string } | undefined
  /** Whether its caller was answered: it is to be delivered whatever happens. */
  promised: boolean
  /** Told once: by which operation it was delivered. */
  readonly onDelivered: (operationId: string) => void
}

export class Inbox extends Context.Tag("baton/Inbox")<
  Inbox,
  {
    /**
     * Puts an input behind those that wait for the session, by its incarnation; in place of the one with the same id in
     * the store's inbox, if that is known here.
     */
    readonly put: (incarnation: string, input: Input) => void

    /** Takes an input out again. `false` where it is being delivered, or was. */
    readonly withdraw: (incarnation: string, input: Input) => boolean

    /**
     * Takes what waits out, in order: what is to be delivered now, or all of it. Who takes it delivers it, and tells,
     * or gives it back.
     */
    readonly take: (incarnation: string, when: "steer" | "all") => ReadonlyArray<Input>

    /** Takes out an input of the store's inbox, if it is known here. */
    readonly forget: (incarnation: string, id: string) => void

    /** Whether an input of the store's inbox is known here. */
    readonly has: (incarnation: string, id: string) => boolean

    /** Whether anything waits. */
    readonly waits: (incarnation: string) => boolean

    /** Whether anything waits that was promised to be delivered. */
    readonly owes: (incarnation: string) => boolean

    /** Puts inputs back before those that wait. */
    readonly giveBack: (incarnation: string, inputs: ReadonlyArray<Input>) => void

    /** A prompt runs that will look here again before it ends. */
    readonly open: (incarnation: string, operationId: string) => void

    /** It will not look any more. */
    readonly close: (incarnation: string) => void

    /** The operation that will look here again, if there is one. */
    readonly reader: (incarnation: string) => string | undefined
  }
>() {}
