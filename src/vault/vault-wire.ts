/**
 * What a full device asks of a storage device: calls (base/rpc.ts) over a bulk channel of their own, `/skein/vault/1`.
 * Sealed bytes travel as the raw body of a call, one block or some records to a message. Nothing here names a space, a
 * file or a content: vaults and blocks have ids that only key holders can make.
 *   vault.open    what is held of a vault, and how much room there is
 *   vault.records from a number on: [{id, length}] and the records one after another as body; length 0: damaged
 *   vault.want    which of these blocks are not held     vault.put / vault.get  one block
 *   vault.append  the next record (refused when another device was faster)
 *   vault.commit  the staged generation counts from now on
 *   vault.drop    blocks that nothing refers to          vault.blocks           all that are held, by pages
 *   vault.lead    one device at a time uploads: true for whoever asks first, until its channel ends or it rests
 *   vault.forget  the whole vault is given up
 */
import { array, boolean, bytes, integer, object, optional, textOf } from '../base/codec.ts'
import type { Validator } from '../base/codec.ts'
import { isId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { sealedIdBytes } from './seal.ts'

export const vaultProtocol = '/skein/vault/1'

const isVault = (value: string): value is string => isId(value)
export const vaultName: Validator<string> = textOf(isVault, 'a vault id')
const id = bytes(sealedIdBytes, sealedIdBytes)
/** One after another, to keep a thousand of them small. */
const ids = bytes(sealedIdBytes * limits.vaultIds)
const generation = integer(999_999_999, 1)
const number = integer(limits.vaultRecords * 1_024)

export const vaultOnly = object({ vault: vaultName })
export const recordsAsk = object({ vault: vaultName, generation, from: number })
export const wantAsk = object({ vault: vaultName, ids })
export const blockAsk = object({ vault: vaultName, id })
export const appendAsk = object({ vault: vaultName, generation, number, id })
export const commitAsk = object({ vault: vaultName, generation, count: number })
export const pageAsk = object({ vault: vaultName, from: integer() })
export const leadAsk = object({ vault: vaultName, isWanted: boolean })

export const openAnswer = object({
  /** 0: nothing is held yet. */
  generation: integer(999_999_999),
  recordCount: number,
  blockCount: integer(),
  sizeBytes: integer(),
  /** Room of all vaults together; absent: this device holds nothing for others. */
  quotaBytes: optional(integer()),
  usedBytes: integer(),
})
export type VaultState = ReturnType<typeof openAnswer>
export const recordsAnswer = object({
  generation,
  recordCount: number,
  items: array(object({ id, length: integer(limits.messageBytes) }), limits.vaultIds),
})
export const wantAnswer = object({ missing: bytes(limits.vaultIds / 8) })
export const pageAnswer = object({ ids })
export const leadAnswer = object({ isLeader: boolean })
export const emptyAnswer = object({})

/** @returns views, one id each. */
export function splitIds(joined: Uint8Array): readonly Uint8Array[] {
  const out: Uint8Array[] = []
  for (let at = 0; at + sealedIdBytes <= joined.byteLength; at += sealedIdBytes)
    out.push(joined.subarray(at, at + sealedIdBytes))
  return out
}

export function joinIds(list: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(list.length * sealedIdBytes)
  for (const [index, one] of list.entries()) out.set(one, index * sealedIdBytes)
  return out
}
