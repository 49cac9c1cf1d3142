// For `node --import`: whatever imports a package of @effect/ai is told that it is not installed.
import { register } from "node:module"

const hook = `export const resolve = (specifier, context, next) => {
  if (!specifier.startsWith("@effect/ai")) return next(specifier, context)
  throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: "ERR_MODULE_NOT_FOUND" })
}`

register(`data:text/javascript,${encodeURIComponent(hook)}`)
