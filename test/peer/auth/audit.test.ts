import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Keep } from '../../../src/base/keep.ts'
import { createMemoryKeep } from '../../../src/base/keep.ts'
import { limits } from '../../../src/base/limits.ts'
import { createAudit, decodeAuditHead } from '../../../src/peer/auth/audit.ts'
import { createIdentity } from '../../../src/peer/auth/keys.ts'
import { testEnv } from './pairing-world.ts'

/** A keep whose `audit` log is what the attacker left of it. */
function keepWith(records: readonly Uint8Array[]): Keep {
  const keep = createMemoryKeep()
  return {
    ...keep,
    readLog: (name) =>
      name === 'audit' ? Promise.resolve(records.map((record) => record.slice())) : keep.readLog(name),
  }
}

async function writeLog(entries: number) {
  const env = testEnv(1)
  const keep = createMemoryKeep()
  const identity = await createIdentity(env, keep, { name: 'one', kind: 'laptop' })
  const audit = await createAudit(env, keep, identity)
  for (let index = 0; index < entries; index++) await audit.record('denied', { verb: 'doc.write', index })
  return { env, keep, identity, audit }
}

test('entries are numbered, found again and covered by signed heads', async () => {
  const { env, keep, identity, audit } = await writeLog(limits.auditHeadEntries + 3)
  expect(audit.head()?.seq).toBe(limits.auditHeadEntries)
  expect(audit.head()?.by).toBe(identity.key.peerId)
  expect(audit.tail(2).map((entry) => entry.seq)).toEqual([
    limits.auditHeadEntries + 2,
    limits.auditHeadEntries + 3,
  ])
  env.clock.advance(limits.auditHeadMs)
  const sealed = await audit.seal()
  expect(sealed?.seq).toBe(limits.auditHeadEntries + 3)
  const again = await createAudit(env, keep, identity)
  expect(again.tail(1)).toEqual(audit.tail(1))
  expect(await again.verify()).toMatchObject({ isIntact: true, entries: limits.auditHeadEntries + 3 })
})

test('an entry alone is sealed when its time is over', async () => {
  const { env, audit } = await writeLog(1)
  expect(audit.head()).toBeUndefined()
  env.clock.advance(limits.auditHeadMs)
  await audit.verify()
  expect(audit.head()?.seq).toBe(1)
})

test('every edit, deletion, insertion and reordering before the last head is found', async () => {
  const { keep, identity, audit } = await writeLog(20)
  const head = await audit.seal()
  const records = await keep.readLog('audit')
  const witnessed = head === undefined ? [] : [head.bytes]
  await fc.assert(
    fc.asyncProperty(
      fc.nat(records.length - 1),
      fc.nat(records.length - 1),
      fc.nat(),
      fc.constantFrom('edit', 'delete', 'swap', 'repeat'),
      async (one, other, bit, kind) => {
        const changed = records.map((record) => record.slice())
        const record = changed[one] ?? new Uint8Array()
        const second = changed[other] ?? new Uint8Array()
        if (kind === 'edit')
          record[bit % record.byteLength] = (record[bit % record.byteLength] ?? 0) ^ (1 << (bit % 8))
        if (kind === 'delete') changed.splice(one, 1)
        if (kind === 'repeat') changed.splice(one, 0, record)
        if (kind === 'swap') [changed[one], changed[other]] = [second, record]
        const isSame =
          changed.every((entry, index) => Buffer.compare(entry, records[index] ?? new Uint8Array()) === 0) &&
          changed.length === records.length
        // The head itself may go: then the witness alone tells, and here it tells that nothing is missing. Twice the same head says nothing new
        const isHead = one === records.length - 1 && (kind === 'delete' || kind === 'repeat')
        const opened = await createAudit(testEnv(2), keepWith(changed), identity).catch(() => undefined)
        const verdict = await opened?.verify({ witnessed })
        expect([verdict?.isIntact ?? false, isSame, isHead, records.length]).toEqual([
          isSame || isHead,
          isSame,
          isHead,
          records.length,
        ])
      },
    ),
    { numRuns: 300 },
  )
})

test('a log that was cut off holds together, and the witnesses show that it was cut', async () => {
  const { keep, identity, audit } = await writeLog(20)
  const head = await audit.seal()
  const records = await keep.readLog('audit')
  const cut = await createAudit(testEnv(2), keepWith(records.slice(0, 5)), identity)
  expect(await cut.verify()).toMatchObject({ isIntact: true, entries: 5 })
  expect(await cut.verify({ witnessed: head === undefined ? [] : [head.bytes] })).toMatchObject({
    isIntact: false,
  })
})

test('a log written anew under another key is not taken for this device`s', async () => {
  const mine = await writeLog(3)
  const env = testEnv(9)
  const other = await createIdentity(env, createMemoryKeep(), { name: 'two', kind: 'laptop' })
  const forged = await createAudit(env, createMemoryKeep(), other)
  await forged.record('pair', {})
  await forged.seal()
  const isOwnKey = (key: string): boolean => key === mine.identity.key.peerId
  expect(await forged.verify({ isOwnKey })).toMatchObject({ isIntact: false })
})

test('a head with any bit changed is refused', async () => {
  const { audit } = await writeLog(1)
  const head = await audit.seal()
  const wire = head?.bytes ?? new Uint8Array()
  fc.assert(
    fc.property(fc.nat(wire.byteLength * 8 - 1), (bit) => {
      const changed = wire.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => decodeAuditHead(changed)).toThrow()
    }),
  )
})
