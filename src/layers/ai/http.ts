/**
 * A streamed reply over HTTP, as JSON values.
 */
import * as AiError from "@effect/ai/AiError"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { pause } from "../tools/pace.js"
import { withoutKeys } from "./errors.js"
import { SseReader } from "./sse.js"

/** Requests by `fetch`. Redirects are not followed: the key would go with them. */
export const client: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })
)

/** Stands in a reply for what could not be read. */
export class Malformed {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Stands in a reply for the line `[DONE]`. */
export const done: unique symbol = Symbol.for("baton/ai/done")

/**
 * Sends the request and reads the events of the reply: the data of each, as JSON. The stream ends with `done`, with a
 * `Malformed`, or with the connection. A reply that is one JSON document is one event. Interruption closes the socket.
 * An error tells nothing of `secrets`: spans of `@effect/ai` end with it as it is.
 *
 * The clients of `@effect/ai-anthropic` and `@effect/ai-openai` have readers of their own, which are not used: the one
 * fails with an event that it does not know and takes those beside it along, the other passes over what is not JSON as
 * if it had not been sent; both stop and begin anew at a `retry:` line, and take a page for an empty reply.
 */
export const events = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  secrets: ReadonlyArray<Redacted.Redacted>
): Stream.Stream<unknown, AiError.AiError> =>
  client.execute(request).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.map((response) => {
      const type = response.headers["content-type"] ?? ""
      if (type.includes("html")) return Stream.make(new Malformed("the reply is an HTML page"))
      if (type.includes("application/json")) return Stream.fromEffect(Effect.map(response.text, parse))
      return eventsOf(Stream.decodeText(response.stream))
    }),
    Stream.unwrapScoped,
    Stream.takeUntil((event) => event === done || event instanceof Malformed),
    Stream.catchTags({
      RequestError: (error) => AiError.HttpRequestError.fromRequestError({ ...place, error }),
      ResponseError: (error) =>
        Effect.mapError(
          AiError.HttpResponseError.fromResponseError({ ...place, error }),
          (refused) => new AiError.HttpResponseError({ ...refused, body: told(refused.body ?? "", secrets) })
        )
    })
  )

/** The longest refusal that is looked at, in UTF-16 code units; what an error tells of it is a sentence. */
const maxBody = 65_536

/** A refusal without keys, also without half of one where it was cut. */
const told = (body: string, secrets: ReadonlyArray<Redacted.Redacted>): string =>
  body.length <= maxBody ? withoutKeys(body, secrets) : withoutKeys(body.slice(0, maxBody), secrets).slice(0, -1_024)

const place = { module: "AiModel", method: "events" }

/**
 * How many events in one piece of a reply are taken for a flood, between the pieces of which the event loop gets its
 * turn: the schemas that `@effect/ai` puts each through take about 50 us.
 */
const many = 64

const eventsOf = <E>(chunks: Stream.Stream<string, E>): Stream.Stream<unknown, E> =>
  Stream.suspend(() => {
    let parsed: Array<unknown> = []
    const reader = new SseReader((data) => parsed.push(parse(data)))
    const feed = (chunks: Iterable<string>): Chunk.Chunk<unknown> => {
      parsed = []
      for (const chunk of chunks) if (!reader.feed(chunk)) parsed.push(new Malformed("the reply is endless"))
      return Chunk.unsafeFromArray(parsed)
    }
    // A last event that lacks its empty line is an event all the same.
    return Stream.concat(
      Stream.mapChunksEffect(chunks, (arrived) => {
        const events = feed(arrived)
        return events.length < many ? Effect.succeed(events) : Effect.as(pause, events)
      }),
      Stream.suspend(() => Stream.fromChunk(feed(["\n\n"])))
    )
  })

const parse = (data: string): unknown => {
  if (data.trim() === "[DONE]") return done
  try {
    return JSON.parse(data)
  } catch {
    return new Malformed("the reply was malformed")
  }
}
