/** A name as a hostile device would choose it. */
export const hostileName = 'evil\u001b[2J\u202egnp.exe\u009b31m<b>\n- up'
