import { nextHandlers } from '@auth-agent/sdk/server';

import { auth } from '../../../lib/auth.js';

// /auth/login, /auth/callback, /auth/logout, /auth/backchannel-logout
export const { GET, POST } = nextHandlers(auth);
