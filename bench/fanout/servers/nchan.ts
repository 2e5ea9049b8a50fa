import { TOPIC } from "../event.ts";
import { freePort, startAndWait, versionOf } from "./program.ts";
import type { Missing, Server } from "./server.ts";

/** The path at which Debian has the module. */
const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** One process, which neither logs nor writes anything. */
function configuration(folder: string, port: number): string {
  return `
load_module ${MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20480;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /publish {
      nchan_publisher http;
      nchan_channel_id ${TOPIC};
      nchan_message_buffer_length 1000;
      nchan_message_timeout 10s;
    }
    location = /topics/${TOPIC} {
      nchan_subscriber websocket;
      nchan_channel_id ${TOPIC};
      nchan_subscriber_first_message newest;
    }
  }
}
`;
}

/** nchan, the module of nginx, which is published to by `POST`. */
export async function nchan(folder: string): Promise<Server | Missing> {
  const name = "nchan";
  const nginx = await versionOf("nginx", ["-v"], /nginx\/([0-9.]+)/);
  if (!nginx || !await isFile(MODULE)) {
    return { name, why: "apt-get install libnginx-mod-nchan" };
  }
  const version = await versionOf(
    "dpkg-query",
    ["-W", "libnginx-mod-nchan"],
    /:([0-9.]+)/,
  );
  return {
    name,
    title: `nchan${version ? ` ${version}` : ""} (nginx ${nginx})`,
    protocol: "text",
    feed: "posts",
    start: async (launch) => {
      const port = freePort();
      const file = `${folder}/nginx.conf`;
      await Deno.writeTextFile(file, configuration(folder, port));
      const command = ["nginx", "-c", file, "-p", folder, "-e", "stderr"];
      return startAndWait(command, launch, port);
    },
  };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
