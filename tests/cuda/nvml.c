/* libnvidia-ml.so.1 of a host with two GPUs of 80 GB: the functions that vLLM and torch ask while vLLM builds its configuration. */
#include <stdio.h>
#include <string.h>

#define GPUS 2
#define OK 0
#define NOT_FOUND 6
#define MIB (1024ULL * 1024)

typedef struct { unsigned long long total, free, used; } memory;
static int gpus[GPUS];

static int text(char *to, unsigned size, const char *from)
{
    snprintf(to, size, "%s", from);
    return OK;
}

int nvmlInit_v2(void) { return OK; }
int nvmlInit(void) { return OK; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == OK ? "Success" : "Not Found"; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { return text(to, size, "580.95.05"); }
int nvmlSystemGetNVMLVersion(char *to, unsigned size) { return text(to, size, "13.580.95.05"); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = GPUS; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, int **gpu)
{
    if (index >= GPUS)
        return NOT_FOUND;
    *gpu = &gpus[index];
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, int **gpu)
{
    unsigned index;
    return sscanf(uuid, "GPU-%u", &index) == 1 ? nvmlDeviceGetHandleByIndex_v2(index, gpu) : NOT_FOUND;
}

int nvmlDeviceGetIndex(int *gpu, unsigned *index) { *index = gpu - gpus; return OK; }

int nvmlDeviceGetUUID(int *gpu, char *to, unsigned size)
{
    snprintf(to, size, "GPU-%08d-0000-0000-0000-000000000000", (int)(gpu - gpus));
    return OK;
}

int nvmlDeviceGetName(int *gpu, char *to, unsigned size) { (void)gpu; return text(to, size, "NVIDIA H100 80GB HBM3"); }
int nvmlDeviceGetCudaComputeCapability(int *gpu, int *major, int *minor) { (void)gpu; *major = 9; *minor = 0; return OK; }
int nvmlDeviceGetNumaNodeId(int *gpu, unsigned *node) { (void)gpu; *node = 0; return OK; }
int nvmlDeviceGetP2PStatus(int *a, int *b, int kind, int *status) { (void)a; (void)b; (void)kind; *status = 0; return OK; }

int nvmlDeviceGetMemoryInfo(int *gpu, memory *found)
{
    (void)gpu;
    found->total = 81559 * MIB;
    found->used = 0;
    found->free = found->total;
    return OK;
}
