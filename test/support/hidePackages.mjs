// For `node --import`: whatever imports a package whose name begins with HIDDEN is told that it is not installed.
import { register } from "node:module"

const hook = `export const resolve = (specifier, context, next) => {
  if (!specifier.startsWith(${JSON.stringify(process.env.HIDDEN)})) return next(specifier, context)
  throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: "ERR_MODULE_NOT_FOUND" })
}`

register(`data:text/javascript,${encodeURIComponent(hook)}`)
