/**
 * Files that a command is to read or to make.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** A file that was named cannot be used. */
export class FileNotUsable extends Data.TaggedError("FileNotUsable")<{
  readonly file: string
  /** `write`: it was made, and could not be filled. */
  readonly operation: "make" | "write" | "read"
  readonly reason: string
}> {
  override get message() {
    return `${this.file} cannot be ${{ make: "made", write: "written", read: "read" }[this.operation]}: ${this.reason}.`
  }
}

const reasons: Readonly<Record<string, string>> = {
  AlreadyExists: "it is there already, and nothing is written over",
  BadResource: "it is a folder, or lies in what is no folder",
  NotFound: "it is not there"
}

const problem = (file: string, operation: FileNotUsable["operation"]) => (error: PlatformError) => {
  const reason = error._tag === "SystemError" ? error.reason : undefined
  const known =
    reason === "PermissionDenied"
      ? `this user may not ${operation === "read" ? "read it" : "write there"}`
      : reason === "NotFound" && operation === "make"
        ? "its folder is not there"
        : reasons[reason ?? ""]
  return new FileNotUsable({ file, operation, reason: known ?? error.message.replace(/\.$/, "") })
}

/**
 * Makes a file of texts, and gives what else the writer gives. One that is there already stays as it is; one that could
 * not be filled, because the texts failed or it was interrupted, is taken away again.
 */
export const made = <A, E, R>(
  file: string,
  fill: (write: (text: string) => Effect.Effect<void, FileNotUsable>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileNotUsable, R | FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (system) =>
    Effect.scoped(
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const to = yield* Effect.mapError(system.open(file, { flag: "wx" }), problem(file, "make"))
          const encoder = new TextEncoder()
          const write = (text: string) => Effect.mapError(to.writeAll(encoder.encode(text)), problem(file, "write"))
          return yield* Effect.onError(restore(fill(write)), () => Effect.ignore(system.remove(file)))
        })
      )
    )
  )

/** The lines of a file, without their ends. */
export const linesOf = (file: string): Stream.Stream<string, FileNotUsable, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (system) =>
      inLines(Stream.mapError(system.stream(file, { chunkSize: 256 * 1_024 }), problem(file, "read")))
    )
  )

/** Bytes of UTF-8 as lines, without their ends. */
export const inLines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<string, E, R> =>
  Stream.splitLines(Stream.decodeText(bytes))
