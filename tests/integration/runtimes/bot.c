/* A bot and its queries in one program that needs nothing but the C library: counts its runs in a
 * state file of the SDKs' format, writes a result, serves or answers queries, and does odd things
 * when BOT_CONFIG names them. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void stop(int number) { (void)number; stopping = 1; }

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static int wanted(const char *what) { return strstr(variable("BOT_CONFIG"), what) != NULL; }

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(3);
    }
}

static const char *state_file(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/runs.json", variable("STATE_DIR"));
    return path;
}

static int read_runs(void)
{
    int runs = 0;
    FILE *file = fopen(state_file(), "r");
    if (file) {
        if (fscanf(file, "%d", &runs) != 1) runs = -1;
        fclose(file);
    }
    return runs;
}

static void write_runs(int runs)
{
    char text[32];
    snprintf(text, sizeof text, "%d", runs);
    mkdir(variable("STATE_DIR"), 0755);
    write_file(state_file(), text);
}

static const char *answer(void)
{
    static char text[64];
    snprintf(text, sizeof text, "{\"status\":\"ok\",\"data\":{\"runs\":%d}}", read_runs());
    return text;
}

static int serve(void)
{
    int on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    int port = 0;
    sscanf(variable("THE0_QUERY_PORT"), "%d", &port);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 16)) {
        perror("listen");
        return 1;
    }
    for (;;) {
        char request[4096], reply[512];
        int client = accept(server, NULL, NULL);
        if (client < 0) return 1;
        if (read(client, request, sizeof request) > 0) {
            int size = snprintf(reply, sizeof reply,
                                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\n\r\n%s", strlen(answer()), answer());
            if (write(client, reply, (size_t)size) != size) perror("write");
        }
        close(client);
    }
}

/* A process that leaves the bot's session and goes on writing. */
static void daemonise(void)
{
    if (fork()) return;
    setsid();
    if (fork()) _exit(0);
    for (;;) {
        write_file("/state/beat", "alive");
        usleep(20000);
    }
}

static void be_odd(void)
{
    static const unsigned char bytes[] = {0, 255, 254, 27, '[', '2', 'J', '\n'};
    if (wanted("binary") && write(1, bytes, sizeof bytes) < 0) perror("write");
    if (wanted("daemon")) daemonise();
    if (wanted("chdir") && chdir("/")) perror("chdir");
    if (wanted("trap"))
        for (int number = 1; number < NSIG; number++) signal(number, SIG_IGN);
    if (wanted("close")) {
        close(1);
        close(2);
    }
}

int main(void)
{
    if (strcmp(variable("ENTRYPOINT_TYPE"), "query") == 0) {
        if (!*variable("QUERY_PATH")) return serve();
        write_file("/query/result.json", answer());
        return 0;
    }
    signal(SIGTERM, stop);
    int runs = read_runs() + 1;
    write_runs(runs);
    printf("{\"message\":\"run %d of %s\"}\n", runs, variable("BOT_ID"));
    fflush(stdout);
    be_odd();
    if (strcmp(variable("BOT_TYPE"), "scheduled") == 0) {
        write_file("/bot/result.json", "{\"status\":\"success\",\"message\":\"counted\"}");
        return wanted("fail") ? 4 : 0;
    }
    while (!stopping) usleep(20000);
    puts("bye");
    return 0;
}
