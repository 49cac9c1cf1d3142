/**
 * Values that hurt whoever looks at them carelessly.
 */
import { canary } from "./ground.js"

/** As values come that no type has looked at. */
export const untyped = (it: unknown): never => it as never

/** A text as it is read from a file: one that was put together is copied at the first look, which would count as work. */
export const asRead = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

export const deep = (levels: number): unknown => {
  let value: unknown = canary
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

export const deepObject = (levels: number): unknown => {
  let value: unknown = canary
  for (let i = 0; i < levels; i++) value = { a: value }
  return value
}

export const cyclic = (): object => {
  const value: Record<string, unknown> = { canary }
  value["self"] = [value]
  return value
}

/** 2^30 leaves in 30 arrays. */
export const bomb = (): unknown => {
  let value: unknown = canary
  for (let i = 0; i < 30; i++) value = [value, value]
  return value
}

export const getter = (key = "text"): object =>
  Object.defineProperty({}, key, {
    enumerable: true,
    get() {
      throw new Error(canary)
    }
  })

/** Fails at whatever is done with it. */
export const hostile = (): object => {
  const fail = () => {
    throw new Error(canary)
  }
  return new Proxy(
    {},
    { get: fail, has: fail, ownKeys: fail, getOwnPropertyDescriptor: fail, getPrototypeOf: fail, set: fail }
  )
}

/** Fails even at the question of what it is. */
export const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

export const revokedArray = (): object => {
  const { proxy, revoke } = Proxy.revocable([], {})
  revoke()
  return proxy
}

/** Cannot be made a text. */
export const bare = (): object => Object.create(null) as object

export const unprintable = (): object => ({
  toString: () => {
    throw new Error(canary)
  }
})

export const forged = (): unknown => JSON.parse(`{"__proto__":{"polluted":"${canary}"},"text":"x"}`)

/** A list of which nothing is there. */
export const holes = (length: number): unknown => Object.assign([], { length })

/** What a promise is taken for. */
export const thenable = (then: (resolve: (value: string) => void) => void): object =>
  // oxlint-disable-next-line unicorn/no-thenable -- What is tried.
  Object.defineProperty({}, "then", { value: then })

export const wide = (length: number): unknown => Array.from({ length }, (_, i) => ({ i }))

export const half = "\ud83d"
export const nul = "\0"
export const mega = 1024 * 1024
