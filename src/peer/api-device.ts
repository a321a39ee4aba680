/** The words for what a device is and may do, shared by everything that shows or asks for them. */

/** What a device may do; see the roster. */
export type Role = 'full' | 'limited' | 'storage' | 'guest'
export const roles: readonly Role[] = ['full', 'limited', 'storage', 'guest']

/** What sort of machine a device says it is. For people only: nothing is decided by it. */
export type DeviceKind = 'desktop' | 'laptop' | 'server' | 'phone' | 'tablet' | 'browser' | 'other'
export const deviceKinds: readonly DeviceKind[] = [
  'desktop',
  'laptop',
  'server',
  'phone',
  'tablet',
  'browser',
  'other',
]
