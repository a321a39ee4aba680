/** How values lie in the store. */
import { describe, expect, test } from 'vitest'
import type { RowChange } from '../../src/crdt/database.ts'
import { openRow, sealRow, sealRows } from '../../src/crdt/sealed-row.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
/** Longer than the buffer that keys are written into, and no whole text. */
const longKey = `${'k'.repeat(9_000)}\ud800é`

describe('a sealed row', () => {
  test('lies as it always did', () => {
    expect(hex(sealRow('p!näme', Uint8Array.of(1, 2, 3)))).toBe('01ccf8c905010203')
    expect(hex(sealRow(longKey, Uint8Array.of(9)))).toBe('015a74b86e09')
    expect(hex(sealRow('', new Uint8Array()))).toBe('01a016d052')
  })

  test('is the same alone and among many, and opens under its own key alone', () => {
    const changes: RowChange[] = ['a', longKey, '', 'ä', 'b'].map((key, index) => ({
      type: 'put',
      key,
      value: new Uint8Array(index * 3).fill(index),
    }))
    const sealed = sealRows([{ type: 'del', key: 'gone' }, ...changes])
    expect(sealed[0]).toEqual({ type: 'del', key: 'gone' })
    for (const [index, change] of changes.entries()) {
      const row = sealed[index + 1]
      if (change.type !== 'put' || row?.type !== 'put') throw new Error('a row is missing')
      expect(row.key).toBe(change.key)
      expect(hex(row.value)).toBe(hex(sealRow(change.key, change.value)))
      expect(hex(openRow(change.key, row.value) ?? new Uint8Array(1))).toBe(hex(change.value))
      expect(openRow(`${change.key}x`, row.value)).toBeUndefined()
    }
  })
})
