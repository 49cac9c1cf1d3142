/**
 * The provider mock of the registry, `@copilotkit/aimock`, for as long as a scope.
 */
import { createServer, type Fixture, type MockServerOptions } from "@copilotkit/aimock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Seen } from "./providers.js"

export interface Mock {
  readonly url: string
  /** What was received, to the letter: the mock's own journal keeps a translation. */
  readonly seen: ReadonlyArray<Seen>
  /** Waits until a request has arrived. */
  readonly arrived: Effect.Effect<void>
  /** Waits until the connection of a request was closed before its answer. */
  readonly closed: Effect.Effect<void>
}

/** Serves the fixtures on a port of its own until the scope ends. */
export const mock = (
  fixtures: ReadonlyArray<Fixture>,
  options: MockServerOptions = {}
): Effect.Effect<Mock, never, Scope.Scope> =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const arrived = yield* Deferred.make<void>()
    const closed = yield* Deferred.make<void>()
    const { url } = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const instance = await createServer([...fixtures], { port: 0, logLevel: "silent", strict: true, ...options })
        instance.server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
          response.on("close", () => {
            if (!response.writableFinished) Deferred.unsafeDone(closed, Effect.void)
          })
          overhear(request, (text) => {
            seen.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(text) as unknown })
            Deferred.unsafeDone(arrived, Effect.void)
          })
        })
        return instance
      }),
      ({ server }) =>
        Effect.async<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    return { url, seen, arrived: Deferred.await(arrived), closed: Deferred.await(closed) }
  })

/** Hears the body without reading it away from the mock. */
const overhear = (request: IncomingMessage, heard: (text: string) => void): void => {
  const chunks: Array<Buffer> = []
  const emit = request.emit.bind(request)
  request.emit = (event: string, ...args: ReadonlyArray<unknown>) => {
    if (event === "data") chunks.push(args[0] as Buffer)
    if (event === "end") heard(Buffer.concat(chunks).toString())
    return emit(event, ...args)
  }
}
