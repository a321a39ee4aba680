/** `skein status` and `skein doctor`: what the parts of a peer say of themselves, put together. */
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { PeerApi, PeerStatus, Problem } from './api.ts'
import type { PairingWindow } from './auth/pairing-window.ts'
import type { ClipboardService } from './clipboard-service.ts'
import { describeLinks } from './device-verbs.ts'
import { examine, hasNetwork } from './doctor.ts'
import type { Documents } from './documents.ts'
import type { Mesh } from './mesh.ts'
import type { Settings } from './settings.ts'
import type { SealedSpaces } from './sealed-spaces.ts'
import type { Trust } from './trust.ts'

export interface StatusParts {
  readonly trust: Trust
  readonly mesh: Mesh
  readonly window: PairingWindow
  readonly documents: Documents
  readonly spaces: SealedSpaces
  readonly clipboard: Pick<ClipboardService, 'state'>
  readonly settings: Settings
}

export function createStatusVerbs(env: Env, parts: StatusParts): Pick<PeerApi, 'status' | 'doctor'> {
  const { mesh, window, documents, settings } = parts
  const { identity, roster } = parts.trust
  const isMember = (): boolean => {
    const own = roster.self()
    return own !== undefined && own.removed === undefined
  }
  const status = async (): Promise<PeerStatus> => {
    const own = roster.self()
    const addresses = mesh.host().addresses()
    return {
      deviceId: identity.deviceId,
      name: own?.name ?? identity.name,
      kind: identity.kind,
      peerId: identity.key.peerId,
      role: own?.role ?? 'guest',
      mesh: roster.mesh,
      addresses,
      links: describeLinks(env, { identity, roster, mesh }),
      spaces: await spacesNow(parts.spaces),
      clipboard: parts.clipboard.state(),
      problems: problemsOf({
        isMember: isMember(),
        isStoreOpen: documents.host.store.status === 'open',
        isListening: addresses.length > 0 || !hasNetwork(),
      }),
      isPairingOpen: window.isOpen,
    }
  }
  return {
    status,
    doctor: async () => {
      const { addresses, links, spaces, clipboard } = await status()
      return examine({
        env,
        settings,
        addresses,
        links,
        spaces,
        clipboard,
        documents,
        isMember: isMember(),
      })
    },
  }
}

/** While the store is down the rest must still be said; `problems` names the store. */
async function spacesNow(spaces: SealedSpaces): Promise<PeerStatus['spaces']> {
  try {
    return await spaces.statuses()
  } catch (error) {
    if (hasCode(error, 'store.failed', 'store.corrupt', 'disk.full')) return []
    throw error
  }
}

interface Condition {
  readonly isMember: boolean
  readonly isStoreOpen: boolean
  readonly isListening: boolean
}

function problemsOf({ isMember, isStoreOpen, isListening }: Condition): readonly Problem[] {
  const problems: Problem[] = []
  if (!isListening) {
    problems.push({
      code: 'config.invalid',
      message: 'no address to listen on could be bound, so others cannot reach this device',
      fix: 'check "listen" in settings.json, or: skein down, then skein up without --listen',
    })
  }
  if (!isMember) {
    problems.push({
      code: 'auth.denied',
      message: 'this device was removed from its mesh',
      fix: 'skein leave makes it a new device; then pair it again',
    })
  }
  if (!isStoreOpen) {
    problems.push({
      code: 'store.failed',
      message: 'the document store does not take writes',
      fix: 'skein doctor names the cause',
    })
  }
  return problems
}
