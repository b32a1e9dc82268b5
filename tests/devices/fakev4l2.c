/* A camera for tests: preloaded into one program, it answers for /dev/video0 (or FAKEV4L2_DEV).
 *
 *   gcc -O2 -fPIC -shared -o fakev4l2.so fakev4l2.c
 *   FAKEV4L2_SRC=cam.fifo LD_PRELOAD=./fakev4l2.so python -m lvs_runtime.cli.live --camera 0
 *
 * Frames are raw YUYV, read from the FIFO named in FAKEV4L2_SRC, FAKEV4L2_SIZE (320x240) each; FAKEV4L2_FPS (15) is
 * only what the device claims, the writer sets the pace. A buffer's stamp is CLOCK_MONOTONIC when its last byte came.
 * All writers gone is an unplugged camera (ENODEV); a writer that pauses is a camera that stalls.
 *
 * Only what OpenCV's V4L2 back end asks for is answered: memory-mapped streaming of one format and one size.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_BUFFERS 32

static struct {
    int fd;          /* the FIFO, -1 while closed: what the program holds as its camera */
    int memory_fd;   /* behind the buffers */
    unsigned char *memory;
    int nonblocking;
    unsigned width, height, fps;
    unsigned num_buffers, sequence;
    char queued[MAX_BUFFERS];
} camera = {.fd = -1, .memory_fd = -1};

static size_t frame_bytes(void) { return (size_t)camera.width * camera.height * 2; }

static size_t buffer_bytes(void) { return (frame_bytes() + 4095) / 4096 * 4096; }

static int fail(int code)
{
    errno = code;
    return -1;
}

static int is_camera(const char *path)
{
    const char *device = getenv("FAKEV4L2_DEV");
    return getenv("FAKEV4L2_SRC") && !strcmp(path, device ? device : "/dev/video0");
}

static void release_memory(void)
{
    if (camera.memory)
        munmap(camera.memory, buffer_bytes() * camera.num_buffers);
    camera.memory = NULL;
    camera.num_buffers = 0;
}

static int open_camera(int flags)
{
    const char *size = getenv("FAKEV4L2_SIZE"), *fps = getenv("FAKEV4L2_FPS");
    camera.width = 320, camera.height = 240;
    if (size && sscanf(size, "%ux%u", &camera.width, &camera.height) != 2)
        return fail(EINVAL);
    camera.fps = fps ? (unsigned)atoi(fps) : 15;
    camera.nonblocking = (flags & O_NONBLOCK) != 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("FAKEV4L2_SRC"), O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    camera.memory_fd = (int)syscall(SYS_memfd_create, "fakev4l2", 1u);
    if (camera.memory_fd < 0) {
        syscall(SYS_close, fd);
        return -1;
    }
    camera.sequence = 0;
    return camera.fd = fd;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    return is_camera(path) ? open_camera(flags) : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_any(path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd == camera.fd) {
        release_memory();
        syscall(SYS_close, camera.memory_fd);
        camera.fd = camera.memory_fd = -1;
    }
    return (int)syscall(SYS_close, fd);
}

static void *map_any(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
    int real = fd >= 0 && fd == camera.fd ? camera.memory_fd : fd;
    return (void *)syscall(SYS_mmap, where, length, protection, flags, real, offset);
}

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
    return map_any(where, length, protection, flags, fd, offset);
}

void *mmap64(void *where, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return map_any(where, length, protection, flags, fd, offset);
}

static int describe_format(struct v4l2_format *format)
{
    if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return fail(EINVAL);
    struct v4l2_pix_format *pixels = &format->fmt.pix;
    memset(&format->fmt, 0, sizeof format->fmt);
    pixels->width = camera.width;
    pixels->height = camera.height;
    pixels->pixelformat = V4L2_PIX_FMT_YUYV;
    pixels->field = V4L2_FIELD_NONE;
    pixels->bytesperline = camera.width * 2;
    pixels->sizeimage = (unsigned)frame_bytes();
    pixels->colorspace = V4L2_COLORSPACE_SRGB;
    return 0;
}

/* One whole frame from the FIFO into `target`. Between frames EAGAIN where the program asked for it. */
static int read_frame(unsigned char *target)
{
    for (size_t have = 0; have < frame_bytes();) {
        ssize_t got = read(camera.fd, target + have, frame_bytes() - have);
        if (got > 0) {
            have += (size_t)got;
        } else if (got == 0) {
            return fail(ENODEV);
        } else if (errno == EAGAIN) {
            if (!have && camera.nonblocking)
                return -1;
            struct pollfd ready = {camera.fd, POLLIN, 0};
            poll(&ready, 1, have ? 10000 : -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int dequeue(struct v4l2_buffer *buffer)
{
    unsigned index = 0;
    while (index < camera.num_buffers && !camera.queued[index])
        index++;
    if (index == camera.num_buffers)
        return fail(EAGAIN);
    if (read_frame(camera.memory + buffer_bytes() * index))
        return -1;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    camera.queued[index] = 0;
    memset(buffer, 0, sizeof *buffer);
    buffer->index = index;
    buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer->memory = V4L2_MEMORY_MMAP;
    buffer->field = V4L2_FIELD_NONE;
    buffer->bytesused = (unsigned)frame_bytes();
    buffer->length = (unsigned)buffer_bytes();
    buffer->m.offset = (unsigned)(buffer_bytes() * index);
    buffer->sequence = camera.sequence++;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = now.tv_sec;
    buffer->timestamp.tv_usec = now.tv_nsec / 1000;
    return 0;
}

static int request_buffers(struct v4l2_requestbuffers *request)
{
    if (request->memory != V4L2_MEMORY_MMAP)
        return fail(EINVAL);
    release_memory();
    memset(camera.queued, 0, sizeof camera.queued);
    if (request->count > MAX_BUFFERS)
        request->count = MAX_BUFFERS;
    request->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
    if (!request->count)
        return 0;
    size_t total = buffer_bytes() * request->count;
    if (ftruncate(camera.memory_fd, (off_t)total))
        return -1;
    void *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, camera.memory_fd, 0);
    if (memory == MAP_FAILED)
        return -1;
    camera.memory = memory;
    camera.num_buffers = request->count;
    return 0;
}

static int answer(unsigned request, void *argument)
{
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "fakev4l2");
        strcpy((char *)capability->card, "Fake camera");
        capability->version = 0x60000;
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *format = argument;
        if (format->index || format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return fail(EINVAL);
        strcpy((char *)format->description, "YUYV 4:2:2");
        format->pixelformat = V4L2_PIX_FMT_YUYV;
        format->flags = 0;
        return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        return describe_format(argument);
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = argument;
        if (input->index)
            return fail(EINVAL);
        memset(input, 0, sizeof *input);
        strcpy((char *)input->name, "Camera");
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)argument)->parm.capture;
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        capture->timeperframe.numerator = 1;
        capture->timeperframe.denominator = camera.fps;
        return 0;
    }
    case VIDIOC_REQBUFS:
        return request_buffers(argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= camera.num_buffers)
            return fail(EINVAL);
        buffer->length = (unsigned)buffer_bytes();
        buffer->m.offset = (unsigned)(buffer_bytes() * buffer->index);
        buffer->flags = 0;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= camera.num_buffers)
            return fail(EINVAL);
        camera.queued[buffer->index] = 1;
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(argument);
    case VIDIOC_S_INPUT:
    case VIDIOC_STREAMON:
        return 0;
    case VIDIOC_STREAMOFF:
        memset(camera.queued, 0, sizeof camera.queued);
        return 0;
    default:
        return fail(((request >> 8) & 0xff) == 'V' ? EINVAL : ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (fd < 0 || fd != camera.fd)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    return answer((unsigned)request, argument);
}
