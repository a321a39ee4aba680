/** What a route of the REST face is made of (routes.ts, space-routes.ts). */
import type { ParamsOf, StreamVerb, VerbName } from '../peer/api.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** How a field is written in a query and described; its exact bounds are the validator's. */
export interface Field {
  readonly type: 'text' | 'integer' | 'boolean' | 'texts'
  readonly isRequired?: true
  readonly oneOf?: readonly string[]
}

export interface RouteOf<V extends VerbName> {
  readonly method: Method
  /** Below /api/v1. A part in braces is a field. */
  readonly path: string
  readonly summary: string
  /** The command that does the same. */
  readonly cli: string
  readonly fields: { readonly [K in keyof ParamsOf<V>]-?: Field }
  readonly isStream?: V extends StreamVerb ? true : never
}

export const text: Field = { type: 'text' }
export const needed: Field = { type: 'text', isRequired: true }
export const integer: Field = { type: 'integer' }
export const flag: Field = { type: 'boolean' }
export const texts: Field = { type: 'texts' }
export const spaceRole: Field = { type: 'text', oneOf: ['full', 'read-only'] }
export const role: Field = { type: 'text', oneOf: ['full', 'limited', 'storage', 'guest'] }
