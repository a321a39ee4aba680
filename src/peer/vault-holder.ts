/**
 * The storage side of the peer: whether and how much it holds for the full devices of its mesh. Its person says so, once
 * for each mesh (`skein hold`); what it holds stays when it changes meshes, and is given back to whoever knows the vault.
 */
import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Channel } from '../base/channel.ts'
import { decodeCanonical, encodeCanonical, integer, object, text } from '../base/codec.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import type { Scope } from '../base/scope.ts'
import { openNodeVaultDisk } from '../vault/node-vault-disk.ts'
import { openVaultServer, type VaultDisks } from '../vault/vault-server.ts'
import type { HoldStatus } from './api-vaults.ts'
import type { PeerApi } from './api.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface VaultHolderParts {
  readonly keep: Keep
  readonly roster: Roster
  /** Where vaults lie; made when something is to be held. */
  readonly directory: string
  /** Spaces lie here, or keys of them: what became a storage device by a grant has read them already. */
  readonly holdsPlain: () => boolean
}

export interface VaultHolder {
  /** A full device of the mesh. */
  attach(device: DeviceId, channel: Channel): void
  readonly verbs: Pick<PeerApi, 'hold' | 'held'>
}

const recordName = 'hold'
const recordShape = object({ mesh: text(128), quotaBytes: integer() })
const defaultQuotaBytes = 50_000_000_000
/** Everything that is held is read this often, to find what the disk has lost while others still have it. */
const scrubMs = 7 * 24 * 3_600_000

/** @throws `store.corrupt`, `store.failed`, `disk.failed`. */
export async function openVaultHolder(
  outer: Env,
  scope: Scope,
  { keep, roster, directory, holdsPlain }: VaultHolderParts,
): Promise<VaultHolder> {
  const env = withLogScope(outer, 'vaults')
  const kept = await keep.read(recordName)
  let given = kept === undefined ? undefined : decodeCanonical(kept, recordShape, 1024)
  const quotaBytes = (): number | undefined => (given?.mesh === roster.mesh ? given.quotaBytes : undefined)
  const server = scope.own(
    await openVaultServer(env, nodeVaultDisks(directory), {
      quotaBytes,
      check(remote) {
        const { allowed, reason } = may(roster.state, remote, 'storage.use')
        if (!allowed) throw new SkeinError('auth.denied', reason)
      },
    }),
  )
  scope.spawn('scrub vaults', async (signal) => {
    for (;;) {
      await sleep(env.clock, scrubMs, signal)
      await server.scrub(signal)
    }
  })
  const status = (): HoldStatus => {
    const quota = quotaBytes()
    return {
      isHolding: quota !== undefined,
      ...(quota !== undefined && { quotaBytes: quota }),
      usedBytes: server.usedBytes,
      vaults: server.held(),
    }
  }
  return {
    attach: (device, channel) => server.attach(device, channel),
    verbs: {
      held: async () => status(),
      async hold({ quotaBytes: wanted, isStopped = false }) {
        if (roster.self()?.role !== 'storage')
          throw new SkeinError('auth.denied', 'this device is not a storage device: it may read everything', {
            fix: 'pair it anew: on another device skein pair --role storage',
          })
        if (!isStopped && holdsPlain())
          throw new SkeinError(
            'auth.denied',
            'this device has spaces or their keys: it can read what it holds',
            {
              fix: 'skein leave, then pair it anew: on another device skein pair --role storage',
            },
          )
        if (isStopped) {
          await keep.remove(recordName)
          given = undefined
        } else {
          const next = { mesh: roster.mesh, quotaBytes: wanted ?? quotaBytes() ?? defaultQuotaBytes }
          await keep.write(recordName, encodeCanonical(next))
          given = next
        }
        env.log.info('room for others', { quotaBytes: given?.quotaBytes ?? 0 })
        return status()
      },
    },
  }
}

function nodeVaultDisks(directory: string): VaultDisks {
  return {
    async list() {
      try {
        return await readdir(directory)
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
        throw new SkeinError('disk.failed', 'the vaults cannot be read', { cause: error })
      }
    },
    async open(vault) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      return await openNodeVaultDisk(join(directory, vault))
    },
    async remove(vault) {
      await rm(join(directory, vault), { recursive: true, force: true })
    },
    async free() {
      const { bavail, bsize } = await statfs(directory).catch(async () => {
        await mkdir(directory, { recursive: true, mode: 0o700 })
        return await statfs(directory)
      })
      return bavail * bsize
    },
  }
}
