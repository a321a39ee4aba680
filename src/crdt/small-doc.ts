/**
 * An ordinary document with one root map: settings, clipboard. Reads by iteration through a validator, so a hostile or
 * newer entry is skipped and reported, never thrown at readers; names that touch prototypes are refused.
 */
import type * as Y from 'yjs'
import type { Validator } from '../base/codec.ts'
import { SkeinError } from '../base/errors.ts'
import type { DocHost } from './doc-host.ts'

export interface SmallDoc<T> {
  /** All valid entries by key. */
  entries(): Promise<ReadonlyMap<string, T>>
  /** Sets and deletes in one transaction; `plan` sees the valid entries. @returns what `plan` returns. */
  change<R>(plan: (entries: ReadonlyMap<string, T>, write: MapWriter<T>) => R): Promise<R>
  /** Calls after each stored change, own and foreign. */
  onChanged(listener: () => void): Disposable
  /** Keys of entries that are there but not valid here. */
  invalidKeys(): Promise<readonly string[]>
}

export interface MapWriter<T> {
  set(key: string, value: T): void
  delete(key: string): void
}

const refusedKeys = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * @param name of the document; its root map is `root`.
 * @param validator of the plain value; `encode` turns a value into what Yjs keeps (JSON values and bytes).
 */
export function openSmallDoc<T>(
  host: DocHost,
  name: string,
  validator: Validator<T>,
  encode: (value: T) => unknown,
): SmallDoc<T> {
  const readMap = (document: Y.Doc): { valid: Map<string, T>; invalid: string[] } => {
    const valid = new Map<string, T>()
    const invalid: string[] = []
    document.getMap('root').forEach((value, key) => {
      if (refusedKeys.has(key)) return void invalid.push(key)
      try {
        valid.set(key, validator(value, key))
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        invalid.push(key)
      }
    })
    return { valid, invalid }
  }
  return {
    entries: () => host.read([name], (document) => readMap(document(name)).valid),
    invalidKeys: () => host.read([name], (document) => readMap(document(name)).invalid),
    change: (plan) =>
      host.transact([name], (open) => {
        const document = open(name)
        return document.transact(() => {
          const map = document.getMap('root')
          return plan(readMap(document).valid, {
            set(key, value) {
              if (refusedKeys.has(key)) throw new SkeinError('codec.invalid', `${key} cannot be a key`)
              map.set(key, encode(validator(value, key)))
            },
            delete: (key) => map.delete(key),
          })
        })
      }),
    onChanged: (listener) =>
      host.on('stored', ({ changes }) => {
        if (changes.some((change) => change.name === name)) listener()
      }),
  }
}
