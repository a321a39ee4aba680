/** The asking side of `/skein/vault/1`: what vault-wire.ts says, as functions. Checks no content; the sealer does. */
import type { Rpc } from '../base/rpc.ts'
import { limits } from '../base/limits.ts'
import type { StoredRecord } from './vault-store.ts'
import * as wire from './vault-wire.ts'

export interface VaultClient {
  open(signal: AbortSignal): Promise<wire.VaultState>
  /** From a number on; some of them. `bytes` is empty for one that is damaged there. */
  records(generation: number, from: number, signal: AbortSignal): Promise<readonly StoredRecord[]>
  /** @param ids any number. @returns those that are not held. */
  missing(ids: readonly Uint8Array[], signal: AbortSignal): Promise<readonly Uint8Array[]>
  put(id: Uint8Array, sealed: Uint8Array, signal: AbortSignal): Promise<void>
  /** @throws `not.found`, `blob.corrupt`. */
  get(id: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  append(
    place: { readonly generation: number; readonly number: number },
    record: StoredRecord,
    signal: AbortSignal,
  ): Promise<void>
  commit(generation: number, count: number, signal: AbortSignal): Promise<void>
  drop(ids: readonly Uint8Array[], signal: AbortSignal): Promise<void>
  blocks(signal: AbortSignal): AsyncIterable<Uint8Array>
  lead(isWanted: boolean, signal: AbortSignal): Promise<boolean>
  forget(signal: AbortSignal): Promise<void>
}

/** Several blocks share the line, and the line may be slow. */
const timeoutMs = 180_000

export function createVaultClient(rpc: Rpc, vault: string): VaultClient {
  const done = async (
    method: string,
    params: object,
    signal: AbortSignal,
    body?: Uint8Array,
  ): Promise<void> => {
    const options = { signal, timeoutMs, ...(body !== undefined && { body }) }
    await rpc.call(method, { vault, ...params }, wire.emptyAnswer, options)
  }
  return {
    open: (signal) => rpc.call('vault.open', { vault }, wire.openAnswer, { signal }),
    async records(generation, from, signal) {
      const params = { vault, generation, from }
      const { value, body } = await rpc.callWithBody('vault.records', params, wire.recordsAnswer, {
        signal,
        timeoutMs,
      })
      let at = 0
      return value.items.map(({ id, length }) => {
        const bytes = body.subarray(at, at + length)
        at += length
        return { id, bytes }
      })
    },
    async missing(ids, signal) {
      const out: Uint8Array[] = []
      for (let from = 0; from < ids.length; from += limits.vaultIds) {
        const some = ids.slice(from, from + limits.vaultIds)
        const params = { vault, ids: wire.joinIds(some) }
        const { missing } = await rpc.call('vault.want', params, wire.wantAnswer, { signal })
        out.push(...some.filter((_, index) => ((missing[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0))
      }
      return out
    },
    put: (id, sealed, signal) => done('vault.put', { id }, signal, sealed),
    async get(id, signal) {
      const options = { signal, timeoutMs }
      return (await rpc.callWithBody('vault.get', { vault, id }, wire.emptyAnswer, options)).body
    },
    append: ({ generation, number }, { id, bytes }, signal) =>
      done('vault.append', { generation, number, id }, signal, bytes),
    commit: (generation, count, signal) => done('vault.commit', { generation, count }, signal),
    async drop(ids, signal) {
      for (let from = 0; from < ids.length; from += limits.vaultIds)
        await done('vault.drop', { ids: wire.joinIds(ids.slice(from, from + limits.vaultIds)) }, signal)
    },
    async *blocks(signal) {
      for (let from = 0; ;) {
        const { ids } = await rpc.call('vault.blocks', { vault, from }, wire.pageAnswer, { signal })
        const page = wire.splitIds(ids)
        yield* page
        if (page.length < limits.vaultIds) return
        from += page.length
      }
    },
    async lead(isWanted, signal) {
      return (await rpc.call('vault.lead', { vault, isWanted }, wire.leadAnswer, { signal })).isLeader
    },
    forget: (signal) => done('vault.forget', {}, signal),
  }
}
