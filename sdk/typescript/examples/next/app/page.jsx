import { headers } from 'next/headers';

import { auth } from '../lib/auth.js';

export default async function Home() {
  const request = await headers();
  const visitor = await auth().getSession({ headers: request });
  if (!visitor) {
    return (
      <>
        <h1>Welcome</h1>
        {/* A plain link: Next.js would prefetch its own. */}
        <p>
          <a href="/auth/login?return_to=/">Sign in with Auth Agent</a>
        </p>
      </>
    );
  }
  return (
    <>
      <h1>Hello {visitor.name ?? visitor.sub}</h1>
      <p>
        Signed in by {visitor.agent_id}, bound by {visitor.binding}.
      </p>
      <form method="post" action="/auth/logout">
        <button>Sign out</button>
      </form>
    </>
  );
}
