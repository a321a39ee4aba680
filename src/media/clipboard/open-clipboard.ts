/**
 * Chooses the clipboard of this desktop by platform and environment; without a desktop it is one in memory. Under
 * Wayland the compositor is asked through wl-clipboard; where that is missing, and under GNOME, which shows its clipboard
 * to background programs only there (before version 49), through the X display that comes with the session.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Env } from '../../base/env.ts'
import { withLogScope } from '../../base/env.ts'
import { createMacosClipboard } from './macos-clipboard.ts'
import { createMemoryClipboard } from './memory-clipboard.ts'
import type { DesktopClipboard } from './port.ts'
import { systemPrograms } from './programs.ts'
import { createWaylandClipboard } from './wayland-clipboard.ts'
import { createWindowsClipboard } from './windows-clipboard.ts'
import { createX11Clipboard } from './x11-clipboard.ts'
import { parseDisplay } from './x11-display.ts'

export interface OpenClipboardOptions {
  /** `process.platform`. */
  readonly platform: string
  /** `process.env`. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

export type ClipboardKind = 'x11' | 'wayland' | 'macos' | 'windows' | 'memory'

/** Returns at once; a display that is not there yet is state `away` until it is. */
export function openDesktopClipboard(env: Env, options: OpenClipboardOptions): DesktopClipboard {
  const scoped = withLogScope(env, 'clipboard')
  const { platform, variables } = options
  const place = parseDisplay(variables['DISPLAY'] ?? '')
  const kind = chooseClipboard({
    platform,
    variables,
    hasCommand: (name) => hasCommand(variables['PATH'], name),
  })
  if (kind === 'x11' && place !== undefined) return createX11Clipboard(scoped, { place, variables })
  if (kind === 'wayland') return createWaylandClipboard(scoped, systemPrograms, variables)
  if (kind === 'macos') return createMacosClipboard(scoped, systemPrograms)
  if (kind === 'windows') return createWindowsClipboard(scoped, systemPrograms)
  return createMemoryClipboard(scoped)
}

interface Surroundings extends OpenClipboardOptions {
  readonly hasCommand: (name: string) => boolean
}

export function chooseClipboard({ platform, variables, hasCommand }: Surroundings): ClipboardKind {
  if (platform === 'darwin') return 'macos'
  if (platform === 'win32') return 'windows'
  const hasDisplay = parseDisplay(variables['DISPLAY'] ?? '') !== undefined
  const isGnome = /\bgnome\b/i.test(variables['XDG_CURRENT_DESKTOP'] ?? '')
  const isWayland = (variables['WAYLAND_DISPLAY'] ?? '') !== ''
  if (isWayland && !(isGnome && hasDisplay) && hasCommand('wl-paste') && hasCommand('wl-copy'))
    return 'wayland'
  return hasDisplay ? 'x11' : 'memory'
}

function hasCommand(path: string | undefined, name: string): boolean {
  return (path ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false // because: not there, or not ours to run: the next folder decides
    }
  })
}
