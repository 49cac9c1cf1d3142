/**
 * Why a step over the file system did not succeed, in words.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { SandboxError } from "../../services/Errors.js"
import { codeOf, reasons as common, Refusal } from "./rules.js"

export const refuseSpecial = (stat: {
  readonly isFile: () => boolean
  readonly isDirectory: () => boolean
  readonly isSymbolicLink: () => boolean
}): void => {
  if (stat.isDirectory()) throw new Refusal("it is a folder")
  if (stat.isSymbolicLink()) throw new Refusal("it became a link while it was opened")
  if (!stat.isFile()) throw new Refusal("it is not a regular file")
}

/**
 * Runs a step over the file system. The step closes what it opened by itself, so an interrupted caller need not wait
 * for it; it ends at its next look at the signal.
 */
export const attempt = <A>(
  operation: SandboxError["operation"],
  asked: string,
  step: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, SandboxError> => Effect.tryPromise({ try: step, catch: errorOf(operation, asked) })

/** The same for a step that changes something: an interrupted caller waits until it has ended. */
export const attemptToEnd = <A>(
  operation: SandboxError["operation"],
  asked: string,
  step: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, SandboxError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const controller = new AbortController()
      const ended = step(controller.signal).then(Either.right, (cause: unknown) =>
        Either.left(errorOf(operation, asked)(cause))
      )
      const stop = Effect.promise(() => {
        controller.abort()
        return ended
      })
      return Effect.flatten(Effect.onInterrupt(restore(Effect.promise(() => ended)), () => stop))
    })
  )

const errorOf = (operation: SandboxError["operation"], asked: string) => (cause: unknown) =>
  cause instanceof Refusal
    ? new SandboxError({ operation, path: asked, reason: cause.message })
    : new SandboxError({ operation, path: asked, reason: reasonOf(cause), cause })

/** What the operating system said, in words. */
export const reasonOf = (error: unknown): string => {
  const code = codeOf(error)
  return (code === undefined ? undefined : reasons[code]) ?? code ?? "an unexpected failure"
}

const reasons: { readonly [code: string]: string } = {
  ...common,
  E2BIG: "the command or its environment is too long",
  EAGAIN: "the machine has no room for another process",
  EBUSY: "it is in use",
  EDQUOT: "the disk quota is used up",
  EEXIST: "something else was put there while it was written",
  EFBIG: "the file would be larger than the system lets it be",
  EIO: "the disk failed",
  ELOOP: "it goes round in links, or became one while it was opened",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "the path is too long",
  ENFILE: "too many files are open",
  ENOSPC: "the disk is full",
  ENOTEMPTY: "it is a folder",
  ENXIO: "it is not a regular file",
  EPERM: "permission denied",
  EROFS: "the file system can only be read"
}
