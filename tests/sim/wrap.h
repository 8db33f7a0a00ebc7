/*
 * The calls that the linker sends here (--wrap), and the real ones behind them.
 */
#ifndef LOPS_SIM_WRAP_H
#define LOPS_SIM_WRAP_H

#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

/* Names that the linker makes. */
// NOLINTBEGIN(bugprone-reserved-identifier)
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_stat(const char *path, struct stat *ret_st);
int __real_stat(const char *path, struct stat *ret_st);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __real_read(int fd, void *to, size_t size);
int __wrap_close(int fd);
int __real_close(int fd);
DIR *__wrap_opendir(const char *path);
DIR *__real_opendir(const char *path);
struct dirent *__wrap_readdir(DIR *d);
struct dirent *__real_readdir(DIR *d);
int __wrap_closedir(DIR *d);
int __real_closedir(DIR *d);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms);
int __wrap_signalfd(int fd, const sigset_t *mask, int flags);
int __wrap_accept4(int fd, struct sockaddr *at, socklen_t *len, int flags);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_pipe2(int ends[2], int flags);
int __wrap_fcntl(int fd, int what, ...);
int __real_fcntl(int fd, int what, ...);
int __wrap_dup2(int from, int to);
int __wrap_kill(pid_t pid, int signo);
int __real_kill(pid_t pid, int signo);
int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *ret_si, int options);
int __wrap_ioctl(int fd, unsigned long request, ...);
pid_t __wrap_fork(void);
pid_t __real_fork(void);
pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options);
pid_t __real_waitpid(pid_t pid, int *ret_status, int options);
int __wrap_prctl(int option, ...);
int __wrap_usleep(unsigned us);
ssize_t __wrap_recvmsg(int fd, struct msghdr *h, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *h, int flags);
// NOLINTEND(bugprone-reserved-identifier)

/* lops-init's own, which its main.c has in the product. */
void pair_ring(int slot);

#endif
