/**
 * What is recorded of how an operation was asked, so that another process can go on with it: as far as it is data.
 */
import type { Request } from "../services/Entry.js"
import { clean } from "../services/Json.js"
import type { OwnLimits } from "../services/Limits.js"
import type { TurnOptions } from "../services/Session.js"
import type { AnySchema } from "../services/AnySchema.js"
import type * as Tool from "../services/Tool.js"
import type { Wanted } from "./wanted.js"

type AnyTurnOptions = TurnOptions<ReadonlyArray<Tool.Any>, AnySchema | undefined>

/** Options as they are recorded; `undefined` where nothing was asked for. */
export const requestOf = (options: AnyTurnOptions | undefined, wanted: Wanted | undefined): Request | undefined => {
  const { fallbacks, limits, model, thinking } = options ?? {}
  if ((fallbacks ?? limits ?? model ?? thinking ?? wanted) === undefined) return undefined
  return {
    model,
    fallbacks,
    thinking,
    limits:
      limits === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(limits).flatMap(([name, value]) =>
              value === undefined ? [] : [[name, value === Number.POSITIVE_INFINITY ? null : value]]
            )
          ),
    result: wanted === undefined ? undefined : cleaned(wanted.jsonSchema)
  }
}

/** A JSON Schema as a record takes it; `{}`, which asks for nothing, where it cannot be one. */
const cleaned = (schema: object): unknown => {
  const it = clean(schema)
  return "value" in it ? it.value : {}
}

/** Recorded options as a call has them. Tools and schemas that were given by value ended with their process. */
export const turnOptionsOf = (request: Request | undefined): AnyTurnOptions => ({
  model: request?.model,
  fallbacks: request?.fallbacks,
  thinking: request?.thinking,
  limits: request?.limits === undefined ? undefined : limitsOf(request.limits)
})

const limitsOf = (limits: NonNullable<Request["limits"]>): Partial<OwnLimits> =>
  Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, value ?? Number.POSITIVE_INFINITY]))
